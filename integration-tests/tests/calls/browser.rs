//! A browser with stanza and a real phone through Kamailio (C01, C03, C14, C15, C19).

use anyhow::{Result, ensure};
use integration_tests::baresip::{Baresip, Codec, Setup as PhoneSetup};
use integration_tests::chromium::Chromium;
use integration_tests::jingle::{Client, Setup as JingleSetup};
use integration_tests::kamailio::{Kamailio, Setup as KamailioSetup};
use integration_tests::server::{Running, Setup as ServerSetup};
use integration_tests::tandem::{Setup as TandemSetup, Tandem, with_tandem_within};
use integration_tests::{Bench, Server, net};
use std::time::Duration;

/// A server with Tandem, a registrar, a browser and a phone.
struct Scene {
    tandem: Tandem,
    phone: Baresip,
    _registrar: Kamailio,
    alice: Client,
    _running: Running,
    server: Server,
}

impl Scene {
    fn open(bench: &Bench, phone: PhoneSetup<'_>, browser: JingleSetup<'_>) -> Result<Self> {
        let server = Server::chosen()?;
        let accounts = ServerSetup {
            accounts: &["alice", "bob"],
            ..ServerSetup::default()
        };
        let running = server.start(bench, accounts)?;
        let registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let media = format!("[media]\naddresses = [\"{}\"]\n", net::ADDRESS);
        let mut setup = TandemSetup::with_kamailio(server);
        setup.b2bua_extra = &media;
        let mut tandem = Tandem::start(bench, &setup)?;
        tandem.wait_paired()?;
        let phone = Baresip::start_with(bench, phone)?;
        let alice = Chromium::start(bench)?.log_in(server, browser)?;
        Ok(Self {
            tandem,
            phone,
            _registrar: registrar,
            alice,
            _running: running,
            server,
        })
    }

    /// The contact that stands for the phone, with the resource that takes calls.
    fn carol(&self) -> String {
        format!(r"carol\40sip.test@{}/sip", self.server.gateway())
    }

    fn close(mut self) -> Result<()> {
        self.tandem.wait_no_calls()?;
        self.tandem.terminate()
    }
}

#[test]
fn a_browser_calls_a_phone_and_each_hears_the_other() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let phone = PhoneSetup {
            codecs: &[Codec::Opus],
            ..PhoneSetup::default()
        };
        let mut scene = Scene::open(bench, phone, JingleSetup::default())?;
        let sid = scene.alice.call(&scene.carol())?;
        scene.phone.wait_incoming()?;
        scene.alice.wait_ringing(&sid)?;
        scene.phone.accept()?;
        scene.alice.wait_connected(&sid)?;
        scene.phone.wait_established()?;
        scene.alice.wait_tone(&sid, 440)?;
        scene.phone.wait_tone(550)?;
        scene.alice.end(&sid, "success")?;
        scene.phone.wait_closed()?;
        scene.close()
    })
}

#[test]
fn a_browser_that_also_offers_pictures_is_heard() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let mut scene = Scene::open(bench, PhoneSetup::default(), JingleSetup::default())?;
        let sid = scene.alice.call_with_pictures(&scene.carol())?;
        scene.phone.wait_incoming()?;
        scene.phone.accept()?;
        scene.alice.wait_connected(&sid)?;
        scene.phone.wait_established()?;
        scene.alice.wait_tone(&sid, 440)?;
        scene.phone.wait_tone(550)?;
        // The pictures are not sent, and the sound survives that the whole bundle begins ICE anew.
        scene.alice.restart_ice(&sid)?;
        scene.alice.expect("new credentials", |stanza| {
            stanza.xml.contains("transport-info") && stanza.xml.contains("pwd=")
        })?;
        scene.alice.wait_tone(&sid, 440)?;
        scene.phone.wait_tone(550)?;
        scene.alice.end(&sid, "success")?;
        scene.phone.wait_closed()?;
        scene.close()
    })
}

#[test]
fn a_phone_calls_a_browser_and_each_hears_the_other() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let mut scene = Scene::open(bench, PhoneSetup::default(), JingleSetup::default())?;
        let user = format!(
            "sip:alice%40{}@{}",
            scene.server.domain(),
            scene.server.gateway()
        );
        scene.phone.dial(&user)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "ringing", &proposal.id, "")?;
        scene.phone.wait_ringing()?;
        scene.alice.take_proposal(&proposal)?;
        scene.phone.wait_established()?;
        scene.alice.wait_tone(&proposal.id, 440)?;
        scene.phone.wait_tone(550)?;
        scene.phone.hang_up()?;
        ensure!(scene.alice.wait_ended(&proposal.id)? == "success");
        scene.close()
    })
}

/// Browsers take their time to start.
const LIMIT: Duration = Duration::from_secs(120);
