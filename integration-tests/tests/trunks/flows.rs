//! The way to us stays open: pings, STUN, and what happens when a flow is dead (RFC 5626 §4.4).

use anyhow::{Context, Result, ensure};
use integration_tests::filter::Filter;
use integration_tests::names::Names;
use integration_tests::nat::Nat;
use integration_tests::net::ADDRESS;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, ZONE, account};

/// What Tandem says when a flow gave a sign of life.
const ALIVE: &str = "the registrar keeps the flow";
const DEAD: &str = "the flow of a registration is dead";

/// A registrar that keeps flows and wants to hear from us often.
fn keeper() -> Setup<'static> {
    Setup {
        flow_timer: 2,
        ..Setup::default()
    }
}

/// The port a registration came from.
fn source_port(line: &str) -> Result<u16> {
    let source = line.split("source=").nth(1).context("no source")?;
    let source = source.split_whitespace().next().context("no source")?;
    let port = source.rsplit(':').next().context("no port")?;
    Ok(port.parse()?)
}

/// The connection is cut and nobody says so: the pong does not come, and a new connection is made.
#[test]
fn a_connection_that_is_cut_in_silence_is_replaced() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, keeper())?;
        let password = password_of("tandem");
        let scene = Scene::open(
            bench,
            vec![account("tcp", &password, "register = true")],
            "",
        )?;
        let line = node.wait_registered("tandem")?;
        for _ in 0..2 {
            let mark = scene.tandem.borrow().b2bua.mark()?;
            scene
                .tandem
                .borrow_mut()
                .b2bua
                .wait_log_since(mark, ALIVE)?;
        }
        scene.write_in(&node, "by the first")?;
        // What is said over a flow that is kept says so.
        let to = format!("{}/sip", scene.contact("+15559002"));
        let sid = scene.alice.call(&to)?;
        let called = scene.network.wait_called()?;
        let contact = called.invite.message.header("Contact");
        ensure!(contact.contains(";ob"), "{contact}");
        called.refuse(486, &[])?;
        scene.alice.wait_ended(&sid)?;

        let mark = node.process.mark()?;
        let _cut = Filter::cut_tcp(source_port(&line)?)?;
        scene.tandem.borrow_mut().b2bua.wait_log(DEAD)?;
        let again = node
            .process
            .wait_log_since(mark, "provider-registered user=tandem")?;
        ensure!(source_port(&again)? != source_port(&line)?, "{again}");
        scene.write_in(&node, "by the second")?;
        let call = scene.call_in(node.address())?;
        scene.hang_up(call)?;
        scene.close(&[])
    })
}

/// Over UDP the registrar tells by STUN how it sees us. When that changes, we register again.
#[test]
fn over_udp_a_nat_that_forgets_is_noticed() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let setup = Setup {
            fixes_nat: true,
            ..keeper()
        };
        let mut node = Provider::start(bench, setup)?;
        let password = password_of("tandem");
        let trunk = account("udp", &password, "register = true");
        let scene = Scene::open_at(bench, vec![trunk], "", &[("udp", OUTSIDE)])?;
        let line = node.wait_registered("tandem")?;
        ensure!(source_port(&line)? == 5060, "{line}");
        let seen = scene.tandem.borrow_mut().b2bua.wait_log(ALIVE)?;
        ensure!(seen.contains(&format!("{ADDRESS}:5060")), "{seen}");

        let mark = node.process.mark()?;
        let _nat = Nat::before(5060..=5060, 15_000..=15_000)?;
        scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_log("sees us at another address")?;
        let again = node
            .process
            .wait_log_since(mark, "provider-registered user=tandem")?;
        ensure!(source_port(&again)? == 15_000, "{again}");
        scene.write_in(&node, "through the NAT")?;
        scene.close(&[])
    })
}

/// A registrar that keeps no flows gets bare datagrams, and does not mind.
#[test]
fn without_flows_empty_datagrams_keep_the_way_open() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let password = password_of("tandem");
        let extra = "register = true\noutbound = false\nnat_keepalive = 1";
        let scene = Scene::open(bench, vec![account("udp", &password, extra)], "")?;
        node.wait_registered("tandem")?;
        let counted = Filter::count_udp_of_length(4)?;
        scene
            .tandem
            .borrow_mut()
            .b2bua
            .wait_for("three datagrams", || {
                Ok((counted.passed()? >= 3).then_some(()))
            })?;
        scene.write_in(&node, "in")?;
        scene.close(&[])
    })
}

/// A listener whose datagrams a NAT can get hold of.
pub(crate) const OUTSIDE: &str = "10.77.0.1:5060";
