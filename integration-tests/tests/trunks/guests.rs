//! N03: a PBX whose address nobody knows comes in by its password, for which sipp answers our challenges, or by the name
//! in its certificate.

use anyhow::{Result, ensure};
use integration_tests::Bench;
use std::fs;

use integration_tests::certificates::make_exactly;
use integration_tests::kamailio::GATEWAY;
use integration_tests::linphone::{Linphone, Site};
use integration_tests::names::Names;
use integration_tests::server::password_of;
use integration_tests::sip::{Agent, Draft};
use integration_tests::sipp::{GUEST_CALL, GUEST_MESSAGE, Setup, Sipp};
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::party::{self, Parties};
use crate::scene::{LIMIT, Scene, provider};

const PASSWORD: &str =
    "inbound_auth = true\ninbound_username = \"pbx\"\ninbound_password = \"secret\"";

/// A trunk that no address lets in.
fn trunk() -> Trunk<'static> {
    Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: Vec::new(),
        extra: PASSWORD,
        ..provider()
    }
}

/// sipp writes to alice's number, over TCP where the name says so, and hears `status` once it has shown this password.
fn write(bench: &Bench, (name, password, status): (&str, &str, &str)) -> Result<()> {
    let row = format!("[authentication username=pbx password={password}]");
    let keys = [("to", "+15550001000"), ("text", name), ("status", status)];
    let scenario = keys
        .iter()
        .fold(GUEST_MESSAGE.to_owned(), |text, (key, value)| {
            text.replace(&format!("[{key}]"), value)
        });
    let setup = Setup {
        target: Some(GATEWAY),
        rows: &[&row],
        tcp: name.ends_with("tcp"),
        ..Setup::default()
    };
    Sipp::run(bench, name, &scenario, setup).map(drop)
}

#[test]
fn a_pbx_comes_in_by_its_password_from_anywhere() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        // sipp knows nothing better.
        let scene = Scene::open(bench, vec![trunk()], "digests = [\"md5\"]\n")?;
        write(bench, ("guest", "secret", "202"))?;
        let stanza = scene
            .alice
            .expect("the text", |stanza| stanza.body() == Some("guest"))?;
        ensure!(stanza.from().starts_with("+15559001@"), "{}", stanza.xml);
        // A connection of a stranger's is taken for as long as it may yet show who it is.
        write(bench, ("guest-tcp", "secret", "202"))?;
        scene
            .alice
            .expect("the text", |stanza| stanza.body() == Some("guest-tcp"))?;

        let setup = Setup {
            port: 5082,
            target: Some(GATEWAY),
            rows: &["[authentication username=pbx password=secret]"],
            ..Setup::default()
        };
        let scenario = GUEST_CALL.replace("[to]", "+15550001000");
        let mut sipp = Sipp::start(bench, "guest-call", &scenario, setup)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        sipp.finish()?;
        let reason = scene.alice.wait_ended(&proposal.id)?;
        ensure!(reason == "success", "ended with {reason}");
        scene.close(&[])
    })
}

#[test]
fn a_wrong_password_lets_nobody_in_and_too_many_ban() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let more = "digests = [\"md5\"]\n[strangers]\nban_after = 2\n";
        let scene = Scene::open(bench, vec![trunk()], more)?;
        write(bench, ("wrong-once", "Secret", "401"))?;
        // Strangers are asked, the better algorithm first, but not for everything.
        let stranger = Agent::bind("127.0.0.66:5060")?;
        let path = stranger.udp_to(GATEWAY)?;
        let asked = stranger.ask(&Draft::new("MESSAGE", "sip:alice@127.0.0.1"), &path)?;
        ensure!(asked.status() == Some(401), "{asked}");
        ensure!(asked.header("WWW-Authenticate").contains("MD5"), "{asked}");
        path.send(&Draft::new("REGISTER", "sip:alice@127.0.0.1").to_bytes(&path))?;
        write(bench, ("wrong-twice", "Secret", "401"))?;
        let mut tandem = scene.tandem.borrow_mut();
        tandem
            .b2bua
            .wait_log("a stranger is banned source=127.0.0.1")?;
        stranger.expect_none("an answer to REGISTER", |_| true)?;
        for text in ["wrong-once", "wrong-twice"] {
            scene
                .alice
                .expect_none("a text", |stanza| stanza.body() == Some(text))?;
        }
        let log = tandem.b2bua.read_log()?;
        ensure!(!log.contains("ecret"), "a password is in the log");
        Ok(())
    })
}

/// linphone is asked for the better algorithm first, and knows it.
#[test]
fn a_phone_shows_its_password_by_the_better_algorithm() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let account = format!(
            "inbound_auth = true\ninbound_username = \"dave\"\ninbound_password = \"{}\"",
            password_of("dave")
        );
        let phones = Trunk {
            extra: &account,
            ..trunk()
        };
        let scene = Scene::open(bench, vec![phones], "")?;
        let gateway = scene.server.gateway();
        let site = Site {
            proxy: GATEWAY,
            realm: gateway,
            registers: false,
        };
        let mut phone = Linphone::start_at(bench, "dave", site)?;
        phone.send_message(&format!("sip:+15550001000@{gateway}"), "hello")?;
        scene
            .alice
            .expect("the text", |stanza| stanza.body() == Some("hello"))?;
        let shown = phone.wait_sent("credentials", |message| {
            !message.header("Authorization").is_empty()
        })?;
        let shown = shown.header("Authorization");
        ensure!(shown.contains("algorithm=SHA-256"), "{shown}");
        ensure!(phone.wait_status("hello")? == 202);
        scene.close(&[])
    })
}

/// Of two parties vouched for by the same authorities the one is heard whose name a trunk has.
#[test]
fn a_partner_comes_in_by_its_certificate_from_anywhere() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let own = make_exactly(bench, "gateway", "DNS:localhost,IP:127.0.0.1")?;
        let partner = make_exactly(bench, "partner", "URI:sip:sip.partner.test,DNS:web.test")?;
        let other = make_exactly(bench, "other", "DNS:partner.test,DNS:web.test")?;
        let mut clients = fs::read_to_string(&partner.certificate)?;
        clients.push_str(&fs::read_to_string(&other.certificate)?);
        let clients = bench.write("clients.crt", &clients)?;
        let mut trunk = trunk();
        trunk.extra = "peer_name = \"sip.partner.test\"";
        let scene = Scene::open(bench, vec![trunk], &party::listener(&own, &clients))?;
        let parties = Parties::new(bench, &scene, &own)?;
        let mut stranger = parties.start("stranger", Some(&other))?;
        stranger.wait_log("websocket-open protocol=sip")?;
        let mut tandem = scene.tandem.borrow_mut();
        tandem
            .b2bua
            .wait_log("a stranger was turned away source=127.0.0.1 method=\"MESSAGE\"")?;
        let mut party = parties.start("party", Some(&partner))?;
        party.wait_log("SIP/2.0 202")?;
        scene
            .alice
            .expect("the text", |stanza| stanza.body() == Some("hello"))?;
        tandem
            .b2bua
            .wait_log("a client is known by its certificate")?;
        ensure!(
            !stranger.read_log()?.contains("SIP/2.0"),
            "a stranger is answered"
        );
        Ok(())
    })
}
