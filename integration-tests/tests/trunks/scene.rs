//! A provider's customer: a server with Tandem, alice with a client that calls, and the telephone network.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::aiortc::Aiortc;
use integration_tests::audio::Law;
use integration_tests::jingle::{Client, Setup as JingleSetup};
use integration_tests::kamailio::GATEWAY;
use integration_tests::provider::{NETWORK, Provider};
use integration_tests::rtp::{Peer, Stream, media_address};
use integration_tests::server::{Running, Setup as ServerSetup};
use integration_tests::sip::{Agent, Dialog, Draft};
use integration_tests::tandem::{Setup, Tandem, Trunk};
use integration_tests::{Bench, Server, names, net};

/// Everything but the provider; alice is logged in.
pub(crate) struct Scene {
    pub(crate) tandem: RefCell<Tandem>,
    pub(crate) alice: Client,
    pub(crate) clients: Aiortc,
    /// The rest of the telephone network, behind the provider.
    pub(crate) network: Agent,
    pub(crate) server: Server,
    _running: Running,
}

/// A call of alice's that was taken.
pub(crate) struct Call<'a> {
    pub(crate) sid: String,
    pub(crate) dialog: Dialog<'a>,
    /// Where the network hears and speaks.
    pub(crate) sound: Peer,
}

/// A trunk to everybody with a number, whose name servers know it as `provider.test`.
pub(crate) fn provider() -> Trunk<'static> {
    Trunk {
        name: "provider",
        matches: "+*",
        next_hop: "provider.test",
        inbound: vec!["127.0.0.11", "127.0.0.12"],
        ..Trunk::default()
    }
}

/// The same, with an account that registers over `transport`; it lets nobody in before that.
pub(crate) fn account<'a>(transport: &'a str, password: &'a str, extra: &'a str) -> Trunk<'a> {
    Trunk {
        transport,
        credentials: Some(("tandem", password)),
        inbound: Vec::new(),
        extra,
        ..provider()
    }
}

impl Scene {
    /// Opens it with these trunks and more lines of the b2bua's `[sip]`.
    pub(crate) fn open(bench: &Bench, trunks: Vec<Trunk<'_>>, more: &str) -> Result<Self> {
        Self::open_at(bench, trunks, more, &["udp", "tcp"].map(|it| (it, GATEWAY)))
    }

    /// The same with these listeners.
    pub(crate) fn open_at(
        bench: &Bench,
        trunks: Vec<Trunk<'_>>,
        more: &str,
        listeners: &[(&str, &str)],
    ) -> Result<Self> {
        let server = Server::chosen()?;
        let accounts = ServerSetup {
            accounts: &["alice", "bob"],
            forgetful: true,
            ..ServerSetup::default()
        };
        let running = server.start(bench, accounts)?;
        let network = Agent::bind(NETWORK)?;
        let both = if net::has_ipv6() {
            format!("sip_addresses = {:?}\n", [net::ADDRESS, net::ADDRESS_6])
        } else {
            String::new()
        };
        let extra = format!(
            "[media]\naddresses = [\"{}\"]\n{both}[sip]\nnameservers = [\"{}\"]\n{more}\n",
            net::ADDRESS,
            names::SERVER
        );
        let mut setup = Setup::with_trunk(server, Trunk::default());
        setup.trunks = trunks;
        setup.listeners = listeners.to_vec();
        let alice_is = format!("alice@{}", server.domain());
        setup.numbers = vec![("+15550001000", &alice_is)];
        setup.b2bua_extra = &extra;
        setup.log_level = "info,tandem_b2bua::message=debug,tandem_b2bua::keepalive=debug";
        let mut tandem = Tandem::start(bench, &setup)?;
        tandem.wait_paired()?;
        let clients = Aiortc::start(bench)?;
        Ok(Self {
            tandem: RefCell::new(tandem),
            alice: clients.log_in(server, JingleSetup::default())?,
            clients,
            network,
            server,
            _running: running,
        })
    }

    /// The JID of a number.
    pub(crate) fn contact(&self, number: &str) -> String {
        format!("{number}@{}", self.server.gateway())
    }

    /// Alice calls `number`, somebody in the network takes it, and each hears the other.
    pub(crate) fn call_out(&self, number: &str) -> Result<Call<'_>> {
        let sid = self.alice.call(&format!("{}/sip", self.contact(number)))?;
        self.take_call(sid)
    }

    /// Somebody in the network takes the call of alice's with this sid, and each hears the other.
    pub(crate) fn take_call(&self, sid: String) -> Result<Call<'_>> {
        let called = self.network.wait_called()?;
        let sound = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        let dialog = called.accept(&[], &sound.describe(Law::A, "sendrecv")?)?;
        let to = media_address(&called.offer()).context("no media address")?;
        sound.send(Stream::tone(to, Law::A, TONE));
        self.alice.wait_accepted(&sid)?;
        let call = Call { sid, dialog, sound };
        self.both_hear(&call)?;
        Ok(call)
    }

    /// Somebody in the network calls alice's number by `node`, she takes it, and each hears the other.
    pub(crate) fn call_in(&self, node: &str) -> Result<Call<'_>> {
        let sound = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        let parties = (
            "sip:+15559001@network.test",
            "sip:+15550001000@provider.test",
        );
        let offer = sound.describe(Law::A, "sendrecv")?;
        let calling = self.network.call(node, parties, &[], &offer)?;
        let proposal = self.alice.wait_proposal()?;
        self.alice.take_proposal(&proposal)?;
        let sid = proposal.id.clone();
        let dialog = calling.wait_accepted("")?;
        let to = media_address(&dialog.description).context("no media address")?;
        sound.send(Stream::tone(to, Law::A, TONE));
        let call = Call { sid, dialog, sound };
        self.both_hear(&call)?;
        Ok(call)
    }

    pub(crate) fn both_hear(&self, call: &Call<'_>) -> Result<()> {
        self.alice.wait_tone(&call.sid, TONE)?;
        call.sound.wait_tone(CLIENT_TONE).map(drop)
    }

    /// Alice writes to `number`, the network takes it, and Tandem knows that it did.
    pub(crate) fn write(&self, number: &str, body: &str) -> Result<()> {
        let mut tandem = self.tandem.borrow_mut();
        let mark = tandem.b2bua.mark()?;
        self.say(number, body)?;
        let request = self.network.expect_body(body)?;
        request.reply(200, "OK")?;
        let delivered = tandem.b2bua.wait_log_since(mark, "message delivered");
        delivered.map(drop)
    }

    /// Alice writes to `number`.
    pub(crate) fn say(&self, number: &str, body: &str) -> Result<()> {
        let to = self.contact(number);
        self.alice.send(&format!(
            "<message to='{to}' type='chat' id='{body}'><body>{body}</body></message>"
        ))
    }

    /// A message from the network to the number of alice, which crosses.
    pub(crate) fn write_in(&self, node: &Provider, text: &str) -> Result<()> {
        let draft = Draft::message(
            "sip:+15550001000@provider.test",
            "sip:+15559001@network.test",
            text,
        );
        let path = self.network.udp_to(node.address())?;
        let answer = self.network.ask(&draft, &path)?;
        ensure!(answer.status() == Some(202), "{answer}");
        self.alice
            .expect("the text", |stanza| stanza.body() == Some(text))
            .map(drop)
    }

    /// Messages and calls both ways, by `node`.
    pub(crate) fn use_it(&self, node: &Provider) -> Result<()> {
        self.write("+15559001", "out")?;
        self.write_in(node, "in")?;
        self.hang_up(self.call_out("+15559002")?)?;
        self.hang_up(self.call_in(node.address())?)
    }

    /// Kills the b2bua; the next one is there, and the component with it.
    pub(crate) fn crash_b2bua(&self) -> Result<()> {
        let mut tandem = self.tandem.borrow_mut();
        let mark = tandem.b2bua.mark()?;
        tandem.crash_b2bua()?;
        let linked = tandem.b2bua.wait_log_since(mark, "the XMPP side is there");
        linked.map(drop)
    }

    /// The network ends the call.
    pub(crate) fn hang_up(&self, mut call: Call<'_>) -> Result<()> {
        call.dialog.hang_up(&[])?;
        let reason = self.alice.wait_ended(&call.sid)?;
        ensure!(reason == "success", "ended with {reason}");
        Ok(())
    }

    pub(crate) fn close(self, allowed: &[&str]) -> Result<()> {
        self.end(allowed).map(drop)
    }

    /// As [`Self::close`]; returns the b2bua's log.
    pub(crate) fn end(self, allowed: &[&str]) -> Result<String> {
        let mut tandem = self.tandem.into_inner();
        tandem.wait_no_calls()?;
        tandem.expect_clean_log(allowed)?;
        tandem.terminate()?;
        tandem.b2bua.read_log()
    }
}

/// A description that offers sound, of which nobody hears any.
pub(crate) const SOUND: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 8\r\n";
/// Where the provider is.
pub(crate) const ZONE: &str = "host-record=provider.test,127.0.0.11\n";
/// What the network sends, in Hz.
pub(crate) const TONE: u32 = 440;
/// What clients send.
const CLIENT_TONE: u32 = 550;
/// Kamailio, a server and clients take their time to start.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
