//! N04: SIP over WebSocket (RFC 7118).

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::certificates::{Certificate, make_exactly};
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Secured, Setup, WS_PATH};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;
use integration_tests::xmpp::Stanza;

use crate::party::{self, Parties};
use crate::scene::{LIMIT, Scene, ZONE, account, provider};

/// A provider that listens for WebSocket, shows `certificate` and, with a `flow_timer` in seconds, keeps flows.
fn start(bench: &Bench, certificate: &Certificate, flow_timer: u32) -> Result<Provider> {
    let secured = Some(Secured {
        certificate,
        customers: None,
    });
    let setup = Setup {
        secured,
        flow_timer,
        ..Setup::default()
    };
    Provider::start(bench, setup)
}

fn both_ways(bench: &Bench, transport: &str, next_hop: &str) -> Result<()> {
    let _names = Names::start(bench, ZONE)?;
    let certificate = make_exactly(bench, "domain", "DNS:provider.test")?;
    let mut node = start(bench, &certificate, 0)?;
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
    scene.use_it(&node)?;
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

/// The flow is kept by pings of WebSocket, and is not taken for dead.
#[test]
fn a_flow_over_websocket_is_kept() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let certificate = make_exactly(bench, "domain", "DNS:provider.test")?;
        let mut node = start(bench, &certificate, 2)?;
        let password = password_of("tandem");
        let keys = format!("register = true\nws_path = \"{WS_PATH}\"");
        let mut trunk = account("ws", &password, &keys);
        trunk.next_hop = "provider.test:8080";
        let scene = Scene::open(bench, vec![trunk], "")?;
        node.wait_registered("tandem")?;
        for _ in 0..2 {
            let mut tandem = scene.tandem.borrow_mut();
            let mark = tandem.b2bua.mark()?;
            tandem
                .b2bua
                .wait_log_since(mark, "the registrar keeps the flow")?;
        }
        scene.write_in(&node, "in")?;
        ensure!(node.lines("provider-registered")?.len() == 1);
        scene.close(&[])
    })
}

/// A path that is not there is said, with the key to change.
#[test]
fn a_wrong_path_is_named() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let certificate = make_exactly(bench, "domain", "DNS:provider.test")?;
        let node = start(bench, &certificate, 0)?;
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

/// A party that connects to us as browsers do is answered where it is, and must show the certificate we ask for.
#[test]
fn a_party_comes_by_websocket() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let own = make_exactly(bench, "gateway", "DNS:localhost,IP:127.0.0.1")?;
        let known = make_exactly(bench, "party", "DNS:party.test")?;
        let mut trunk = provider();
        trunk.inbound = vec!["127.0.0.1"];
        let listener = party::listener(&own, &known.certificate);
        let scene = Scene::open(bench, vec![trunk], &listener)?;
        let parties = Parties::new(bench, &scene, &own)?;
        let mut party = parties.start("party", Some(&known))?;
        party.wait_log("websocket-open protocol=sip")?;
        let line = party.wait_log("SIP/2.0 202")?;
        ensure!(line.contains("binary=false"), "{line}");
        party.wait_log("websocket-pong")?;
        let arrived = |stanza: &Stanza| stanza.body() == Some("hello");
        scene.alice.expect("the text", arrived)?;
        let mut stranger = parties.start("stranger", None)?;
        stranger.wait_log("websocket-closed")?;
        let mut tandem = scene.tandem.borrow_mut();
        let line = tandem.b2bua.wait_log("no connection")?;
        ensure!(line.contains("client_authorities"), "{line}");
        Ok(())
    })
}
