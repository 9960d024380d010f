//! Tandem behind a NAT, registered over UDP with a provider outside: what reaches it, and by which address.

use anyhow::{Result, ensure};
use integration_tests::coturn::{ADDRESS as STUN, Coturn};
use integration_tests::names::Names;
use integration_tests::nat::Nat;
use integration_tests::net::ADDRESS;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::flows::OUTSIDE;
use crate::scene::{LIMIT, Scene, ZONE, account};

/// The port the NAT gives our datagrams.
const OUTER: u16 = 15_000;

fn nat() -> Result<Nat> {
    Nat::before(5060..=5060, OUTER..=OUTER)
}

/// Messages and calls both ways.
fn use_it(scene: &Scene, node: &Provider) -> Result<()> {
    scene.write("+15559001", "out")?;
    scene.write_in(node, "in")?;
    let call = scene.call_out("+15559002")?;
    scene.hang_up(call)?;
    let call = scene.call_in(node.address())?;
    scene.hang_up(call)
}

/// A provider that sends where a Contact says: it is told the address it sees, and forgets the other.
#[test]
fn a_provider_that_sees_us_elsewhere_is_told_so() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let _nat = nat()?;
        let password = password_of("tandem");
        let trunk = account("udp", &password, "register = true\noutbound = false");
        let scene = Scene::open_at(bench, vec![trunk], "", &[("udp", OUTSIDE)])?;
        node.wait_registered("tandem")?;
        let inner = format!("@{ADDRESS}:5060>");
        let outer = format!("@{ADDRESS}:{OUTER}>");
        node.process
            .wait_log_where(0, "the learned Contact", |line| {
                let is = line.contains("provider-registered") && line.contains(&outer);
                is.then_some(())
            })?;
        // Its processes may log in another order than they worked.
        node.process
            .wait_log_where(0, "the first Contact", |line| {
                let is = line.contains("provider-registered") && line.contains(&inner);
                is.then_some(())
            })?;
        let lines = node.lines("provider-registered")?;
        ensure!(lines.len() == 2, "{lines:?}");
        // One Contact is left: nothing rings twice, and nothing is lost.
        scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_log("is told that address")?;
        use_it(&scene, &node)?;
        let shown = scene.tandem.borrow().ask(&["trunks"])?;
        ensure!(shown.contains(&format!(" as {ADDRESS}:{OUTER}")), "{shown}");
        scene.close(&[])
    })
}

/// A provider that keeps flows, and one that takes all customers to be behind a NAT.
#[test]
fn a_provider_that_knows_about_nats_reaches_us_too() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let setup = Setup {
            fixes_nat: true,
            flow_timer: 5,
            ..Setup::default()
        };
        let mut node = Provider::start(bench, setup)?;
        let _nat = nat()?;
        let password = password_of("tandem");
        let trunk = account("udp", &password, "register = true");
        let scene = Scene::open_at(bench, vec![trunk], "", &[("udp", OUTSIDE)])?;
        node.wait_registered("tandem")?;
        let alive = scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_log("the registrar keeps the flow")?;
        ensure!(alive.contains(&format!("{ADDRESS}:{OUTER}")), "{alive}");
        use_it(&scene, &node)?;
        scene.close(&[])
    })
}

/// A STUN server says how the world sees us, and the provider is told before it has to.
#[test]
fn a_stun_server_tells_our_address() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let _stun = Coturn::start(bench)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let _nat = nat()?;
        let password = password_of("tandem");
        let trunk = account("udp", &password, "register = true\noutbound = false");
        let more = format!("stun = \"{STUN}\"");
        let scene = Scene::open_at(bench, vec![trunk], &more, &[("udp", OUTSIDE)])?;
        let found = scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_log("as a STUN server sees it")?;
        ensure!(found.contains(&format!("{ADDRESS}:{OUTER}")), "{found}");
        let outer = format!("@{ADDRESS}:{OUTER}>");
        node.process
            .wait_log_where(0, "the Contact found out", |line| {
                let is = line.contains("provider-registered") && line.contains(&outer);
                is.then_some(())
            })?;
        use_it(&scene, &node)?;
        scene.close(&[])
    })
}

/// An address that is configured is what everybody is told.
#[test]
fn a_public_address_stands_in_contact_and_via() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let _nat = nat()?;
        let password = password_of("tandem");
        let trunk = account("udp", &password, "register = true\noutbound = false");
        let listener = format!(
            "[[listen]]\ntransport = \"udp\"\naddress = \"{OUTSIDE}\"\npublic = \"{ADDRESS}:{OUTER}\""
        );
        let scene = Scene::open_at(bench, vec![trunk], &listener, &[])?;
        let line = node.wait_registered("tandem")?;
        ensure!(line.contains(&format!("@{ADDRESS}:{OUTER}>")), "{line}");
        scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
        use_it(&scene, &node)?;
        ensure!(node.lines("provider-registered")?.len() == 1);
        scene.close(&[])
    })
}
