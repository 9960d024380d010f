//! N04: SIP over WebSocket (RFC 7118).

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::certificates::make_exactly;
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Secured, Setup, WS_PATH};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, account};

const ZONE: &str = "host-record=provider.test,127.0.0.11\n";

fn both_ways(bench: &Bench, transport: &str, next_hop: &str) -> Result<()> {
    let _names = Names::start(bench, ZONE)?;
    let certificate = make_exactly(bench, "domain", "DNS:provider.test")?;
    let secured = Some(Secured {
        certificate: &certificate,
        customers: None,
    });
    let setup = Setup {
        secured,
        ..Setup::default()
    };
    let mut node = Provider::start(bench, setup)?;
    let password = password_of("tandem");
    let keys = format!("register = true\nws_path = \"{WS_PATH}\"\nkeepalive = 5");
    let mut trunk = account(transport, &password, &keys);
    trunk.next_hop = next_hop;
    let authorities = format!("authorities = \"{}\"", certificate.certificate.display());
    let scene = Scene::open(bench, vec![trunk], &authorities)?;
    let line = node.wait_registered("tandem")?;
    ensure!(line.contains(&format!("source={transport}:")), "{line}");
    ensure!(line.contains("transport=ws"), "{line}");
    scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
    scene.write("+15559001", "out")?;
    scene.write_in(&node, "in")?;
    let call = scene.call_out("+15559002")?;
    scene.hang_up(call)?;
    let call = scene.call_in(node.address())?;
    scene.hang_up(call)?;
    scene.close(&[])
}

#[test]
fn messages_and_calls_go_over_a_secure_websocket() -> Result<()> {
    with_tandem_within(LIMIT, |bench| both_ways(bench, "wss", "provider.test:8443"))
}

#[test]
fn messages_and_calls_go_over_a_websocket() -> Result<()> {
    with_tandem_within(LIMIT, |bench| both_ways(bench, "ws", "provider.test:8080"))
}

/// A path that is not there is said, with the key to change.
#[test]
fn a_wrong_path_is_named() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let certificate = make_exactly(bench, "domain", "DNS:provider.test")?;
        let secured = Some(Secured {
            certificate: &certificate,
            customers: None,
        });
        let setup = Setup {
            secured,
            ..Setup::default()
        };
        let node = Provider::start(bench, setup)?;
        let password = password_of("tandem");
        let mut trunk = account("ws", &password, "register = true");
        trunk.next_hop = "provider.test:8080";
        let scene = Scene::open(bench, vec![trunk], "")?;
        let mut tandem = scene.tandem.borrow_mut();
        let line = tandem.b2bua.wait_log("no connection")?;
        ensure!(line.contains("404") && line.contains("ws_path"), "{line}");
        ensure!(node.lines("provider-registered")?.is_empty());
        Ok(())
    })
}
