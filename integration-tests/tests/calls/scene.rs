//! What calls are placed between: a scripted XMPP client and a scripted SIP party, and Tandem.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::aiortc::{Aiortc, Faults};
use integration_tests::audio::Law;
use integration_tests::jingle::{Client, PROPOSALS, Setup as JingleSetup};
use integration_tests::kamailio::GATEWAY;
use integration_tests::rtp::{Peer, Stream, media_address};
use integration_tests::server::{Running, Setup as ServerSetup};
use integration_tests::sip::{Agent, Calling, Dialog};
use integration_tests::tandem::{Setup as TandemSetup, Tandem, Trunk};
use integration_tests::{Bench, Server, net};

/// What differs from the usual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes<'a> {
    /// Lines of the b2bua's `[call]`.
    pub(crate) call: &'a str,
    /// Lines of its `[media]`.
    pub(crate) media: &'a str,
    /// Lines of its `[sip]`.
    pub(crate) sip: &'a str,
    /// Lines at the end of the component's configuration.
    pub(crate) component: &'a str,
    /// What alice's client does wrong.
    pub(crate) faults: Faults,
    /// Whether it knows proposals (XEP-0353).
    pub(crate) proposals: bool,
    /// The XMPP server, if not the chosen one.
    pub(crate) server: Option<Server>,
}

impl Default for Wishes<'_> {
    fn default() -> Self {
        Self {
            call: "",
            media: "",
            sip: "",
            component: "",
            faults: Faults::default(),
            proposals: true,
            server: None,
        }
    }
}

/// Everything; alice is logged in.
pub(crate) struct Scene {
    /// Its processes are killed while calls are open.
    pub(crate) tandem: RefCell<Tandem>,
    pub(crate) alice: Client,
    pub(crate) clients: Aiortc,
    /// The SIP party: carol at `sip.test`.
    pub(crate) sip: Agent,
    /// Where its sound is.
    pub(crate) sound: Peer,
    pub(crate) server: Server,
    _running: Running,
}

impl Scene {
    pub(crate) fn open(bench: &Bench) -> Result<Self> {
        Self::open_with(bench, Wishes::default())
    }

    pub(crate) fn open_with(bench: &Bench, wishes: Wishes<'_>) -> Result<Self> {
        let server = wishes.server.map_or_else(Server::chosen, Ok)?;
        let accounts = ServerSetup {
            accounts: &["alice", "bob"],
            ..ServerSetup::default()
        };
        let running = server.start(bench, accounts)?;
        let sip = Agent::bind(PARTY)?;
        let trunk = Trunk {
            name: "script",
            matches: "*@sip.test",
            next_hop: PARTY,
            transport: "udp",
            inbound: vec!["127.0.0.1"],
            ..Trunk::default()
        };
        let extra = format!(
            "[media]\naddresses = [\"{}\"]\n{}\n[call]\n{}\n[sip]\n{}\n",
            net::ADDRESS,
            wishes.media,
            wishes.call,
            wishes.sip
        );
        let mut setup = TandemSetup::with_trunk(server, trunk);
        setup.b2bua_extra = &extra;
        setup.component_extra = wishes.component;
        let mut tandem = Tandem::start(bench, &setup)?;
        tandem.wait_paired()?;
        let clients = Aiortc::start(bench)?;
        let features: &[&str] = if wishes.proposals { &[PROPOSALS] } else { &[] };
        let alice = JingleSetup {
            features,
            ..JingleSetup::default()
        };
        Ok(Self {
            tandem: RefCell::new(tandem),
            alice: clients.log_in_with(server, alice, wishes.faults)?,
            clients,
            sip,
            sound: Peer::bind(&format!("{}:0", net::ADDRESS))?,
            server,
            _running: running,
        })
    }

    /// The contact that stands for the SIP party, without resource.
    pub(crate) fn contact(&self) -> String {
        format!(r"carol\40sip.test@{}", self.server.gateway())
    }

    /// The same with the resource that takes calls.
    pub(crate) fn carol(&self) -> String {
        format!("{}/sip", self.contact())
    }

    /// The SIP party calls an XMPP user.
    pub(crate) fn invite(
        &self,
        user: &str,
        headers: &[(&str, &str)],
        offer: &str,
    ) -> Result<Calling<'_>> {
        let gateway = self.server.gateway();
        let to = format!("sip:{user}%40{}@{gateway}", self.server.domain());
        self.sip
            .call(GATEWAY, ("sip:carol@sip.test", &to), headers, offer)
    }

    /// The SIP party's description.
    pub(crate) fn describe(&self) -> Result<String> {
        self.sound.describe(Law::A, "sendrecv")
    }

    /// The SIP party sends its tone to where `description` wants it.
    pub(crate) fn play_to(&self, description: &str) -> Result<()> {
        play(&self.sound, description, SIP_TONE)
    }

    /// Each hears the other.
    pub(crate) fn both_hear(&self, client: &Client, sid: &str) -> Result<()> {
        client.wait_tone(sid, SIP_TONE)?;
        self.sound.wait_tone(CLIENT_TONE).map(drop)
    }

    /// The SIP party hangs up, and the client is told so.
    pub(crate) fn hang_up(
        &self,
        dialog: &mut Dialog<'_>,
        client: &Client,
        sid: &str,
    ) -> Result<()> {
        dialog.hang_up(&[])?;
        let reason = client.wait_ended(sid)?;
        ensure!(reason == "success", "ended with {reason}");
        Ok(())
    }

    /// As [`Self::close`], after a process was killed: calls it had are in no log, but ports are seen.
    pub(crate) fn close_after_crash(self) -> Result<()> {
        let mut tandem = self.tandem.into_inner();
        tandem.wait_no_ports()?;
        tandem.terminate()
    }

    /// A call from SIP to alice, taken; each hears the other.
    pub(crate) fn connect(&self) -> Result<(Dialog<'_>, String)> {
        let calling = self.invite("alice", &[], &self.describe()?)?;
        let proposal = self.alice.wait_proposal()?;
        self.alice.take_proposal(&proposal)?;
        let dialog = calling.wait_accepted("")?;
        self.play_to(&dialog.description)?;
        self.both_hear(&self.alice, &proposal.id)?;
        Ok((dialog, proposal.id))
    }

    pub(crate) fn close(self) -> Result<()> {
        let mut tandem = self.tandem.into_inner();
        tandem.wait_no_calls()?;
        tandem.expect_clean_log(&[])?;
        tandem.terminate()
    }
}

/// `peer` sends a tone to where `description` wants it.
pub(crate) fn play(peer: &Peer, description: &str, hertz: u32) -> Result<()> {
    let to = media_address(description).context("no media address")?;
    peer.send(Stream::tone(to, Law::A, hertz));
    Ok(())
}

/// The condition of a `<reason/>` in what was said about a call.
pub(crate) fn reason_of(said: &integration_tests::xmpp::Stanza, word: &str) -> Option<String> {
    let reason = said.child(word)?.child("reason")?;
    let condition = reason.children.iter().find(|child| child.name != "text")?;
    Some(condition.name.clone())
}

/// Where the SIP party listens.
const PARTY: &str = "127.0.0.1:5080";
/// What the SIP party sends, in Hz.
pub(crate) const SIP_TONE: u32 = 440;
/// What another SIP party sends.
pub(crate) const OTHER_TONE: u32 = 770;
/// What clients send.
pub(crate) const CLIENT_TONE: u32 = 550;
/// Browsers take their time to start.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
