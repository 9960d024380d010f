//! N03: a PBX whose address nobody knows comes in by its password; sipp answers our challenges.

use anyhow::{Result, ensure};
use integration_tests::Bench;
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::sip::{Agent, Draft};
use integration_tests::sipp::{GUEST_CALL, GUEST_MESSAGE, Setup, Sipp};
use integration_tests::tandem::{Trunk, with_tandem_within};

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

/// sipp writes to alice's number and hears `status` once it has shown this password.
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
