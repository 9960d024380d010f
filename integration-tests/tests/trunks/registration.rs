//! N01, N08, N09: accounts that register with a provider, and are called by it.

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::kamailio::Algorithm;
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, ZONE, account};

fn both_ways(bench: &Bench, transport: &str, algorithm: Algorithm) -> Result<()> {
    let _names = Names::start(bench, ZONE)?;
    let setup = Setup {
        algorithm,
        ..Setup::default()
    };
    let mut node = Provider::start(bench, setup)?;
    let password = password_of("tandem");
    let trunk = account(transport, &password, "register = true\nkeepalive = 5");
    let scene = Scene::open(bench, vec![trunk], "")?;
    let line = node.wait_registered("tandem")?;
    ensure!(line.contains(&format!("source={transport}:")), "{line}");
    scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
    scene.use_it(&node)?;
    node.process.wait_log("provider-options")?;
    // Who ends takes its registration back.
    let Scene { tandem, .. } = scene;
    tandem.into_inner().terminate()?;
    let last = node.lines("provider-registered")?.pop().unwrap_or_default();
    ensure!(last.contains("expires=0"), "{last}");
    Ok(())
}

#[test]
fn an_account_over_udp_with_md5() -> Result<()> {
    with_tandem_within(LIMIT, |bench| both_ways(bench, "udp", Algorithm::Md5))
}

#[test]
fn an_account_over_tcp_with_sha_256() -> Result<()> {
    with_tandem_within(LIMIT, |bench| both_ways(bench, "tcp", Algorithm::Sha256))
}

/// Registrations are brief, nonces are old after a second, and the registrar forgets everything.
#[test]
fn a_registration_is_kept_through_stale_nonces_and_a_new_registrar() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let setup = Setup {
            min_expires: 0,
            max_expires: 4,
            nonce: 1,
            ..Setup::default()
        };
        let mut node = Provider::start(bench, setup)?;
        let password = password_of("tandem");
        let trunk = account("tcp", &password, "register = true");
        let scene = Scene::open(bench, vec![trunk], "")?;
        node.wait_registered("tandem")?;
        // Granted 4 s, it comes again before they are over, with the nonce it knows, which is old by then.
        let mark = node.process.mark()?;
        let stale = "provider-challenged method=REGISTER user=tandem";
        node.process.wait_log_since(mark, stale)?;
        let registered = "provider-registered user=tandem";
        node.process.wait_log_since(mark, registered)?;
        node.process.stop()?;
        // Nobody writes to the log any more: what is behind this mark is of the next one.
        let mark = node.process.mark()?;
        node.start_again()?;
        // The connection ended, which is noticed; the first try may find nobody, the next one is made unasked.
        scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_log("connection of a registration ended")?;
        node.process.wait_log_since(mark, registered)?;
        scene.write_in(&node, "in by the new one")?;
        scene.close(&[])
    })
}

/// A registrar may grant more than was asked for; what it grants counts.
#[test]
fn what_is_granted_counts() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let setup = Setup {
            min_expires: 7200,
            max_expires: 14400,
            ..Setup::default()
        };
        let mut node = Provider::start(bench, setup)?;
        let password = password_of("tandem");
        let trunk = account("udp", &password, "register = true\nexpires = 60");
        let scene = Scene::open(bench, vec![trunk], "")?;
        node.wait_registered("tandem")?;
        let mut tandem = scene.tandem.borrow_mut();
        tandem
            .b2bua
            .wait_log("registered trunk=\"provider\" seconds=7200")?;
        drop(tandem);
        scene.close(&[])
    })
}

/// A registrar that refuses what is too brief for it (423) is asked for as long as it wants.
#[test]
fn what_is_too_brief_is_asked_for_again() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let setup = Setup {
            min_expires: 7200,
            max_expires: 14400,
            refuses_brief: true,
            ..Setup::default()
        };
        let mut node = Provider::start(bench, setup)?;
        let password = password_of("tandem");
        let trunk = account("udp", &password, "register = true\nexpires = 60");
        let scene = Scene::open(bench, vec![trunk], "")?;
        let line = node.wait_registered("tandem")?;
        ensure!(line.contains("expires=7200"), "{line}");
        let refused = node.lines("provider-not-registered")?;
        ensure!(
            refused.len() == 1 && refused.iter().all(|line| line.contains("expires=60 ")),
            "{refused:?}"
        );
        let mut tandem = scene.tandem.borrow_mut();
        tandem
            .b2bua
            .wait_log("registered trunk=\"provider\" seconds=7200")?;
        drop(tandem);
        scene.write_in(&node, "in")?;
        scene.close(&[])
    })
}

/// A wrong password is said once, in the provider's own words, and not tried over and over.
#[test]
fn a_wrong_password_is_tried_once() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let node = Provider::start(bench, Setup::default())?;
        let trunk = account("udp", "wrong", "register = true");
        let scene = Scene::open(bench, vec![trunk], "")?;
        let mut tandem = scene.tandem.borrow_mut();
        let line = tandem.b2bua.wait_log("refuses the account")?;
        ensure!(
            line.contains("401") && line.contains("check username"),
            "{line}"
        );
        ensure!(!line.contains("wrong"), "{line}");
        ensure!(node.lines("provider-challenged")?.len() == 2);
        ensure!(node.lines("provider-registered")?.is_empty());
        Ok(())
    })
}
