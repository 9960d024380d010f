//! Tandem behind a NAT, registered over UDP with a provider outside: what reaches it, and by which address.

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::coturn::{ADDRESS as STUN, Coturn};
use integration_tests::names::Names;
use integration_tests::nat::Nat;
use integration_tests::net::ADDRESS;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::flows::OUTSIDE;
use crate::scene::{LIMIT, Scene, ZONE, account};

/// Where it is heard.
const BEHIND: &[(&str, &str)] = &[("udp", OUTSIDE)];
/// The port the NAT gives our datagrams.
const OUTER: u16 = 15_000;

fn nat() -> Result<Nat> {
    Nat::before(5060..=5060, OUTER..=OUTER)
}

/// The gateway behind it, registered with keys of its trunk; with more lines of its `[sip]`, and where it is heard.
fn open(bench: &Bench, keys: &str, more: &str, listeners: &[(&str, &str)]) -> Result<Scene> {
    let password = password_of("tandem");
    let keys = format!("register = true\n{keys}");
    let trunk = account("udp", &password, &keys);
    Scene::open_at(bench, vec![trunk], more, listeners)
}

/// A provider that sends where a Contact says: it is told the address it sees, and forgets the other.
#[test]
fn a_provider_that_sees_us_elsewhere_is_told_so() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let _nat = nat()?;
        let scene = open(bench, "outbound = false", "", BEHIND)?;
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
        scene.use_it(&node)?;
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
        let scene = open(bench, "", "", BEHIND)?;
        node.wait_registered("tandem")?;
        let alive = scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_log("the registrar keeps the flow")?;
        ensure!(alive.contains(&format!("{ADDRESS}:{OUTER}")), "{alive}");
        scene.use_it(&node)?;
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
        let more = format!("stun = \"{STUN}\"");
        let scene = open(bench, "outbound = false", &more, BEHIND)?;
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
        scene.use_it(&node)?;
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
        let listener = format!(
            "[[listen]]\ntransport = \"udp\"\naddress = \"{OUTSIDE}\"\npublic = \"{ADDRESS}:{OUTER}\""
        );
        let scene = open(bench, "outbound = false", &listener, &[])?;
        let line = node.wait_registered("tandem")?;
        ensure!(line.contains(&format!("@{ADDRESS}:{OUTER}>")), "{line}");
        scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
        scene.use_it(&node)?;
        ensure!(node.lines("provider-registered")?.len() == 1);
        scene.close(&[])
    })
}
