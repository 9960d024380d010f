//! What these tests run in: a server with Tandem, a registrar, an XMPP client that hears 440 Hz from phones and
//! sends 550 Hz to them.

use anyhow::{Result, ensure};
use integration_tests::aiortc::Aiortc;
use integration_tests::baresip::Baresip;
use integration_tests::certificates::Certificate;
use integration_tests::chromium::Chromium;
use integration_tests::jingle::{Client, Setup as JingleSetup};
use integration_tests::kamailio::{Kamailio, Setup as KamailioSetup};
use integration_tests::server::{Running, Setup as ServerSetup};
use integration_tests::tandem::{Setup as TandemSetup, Tandem, Trunk};
use integration_tests::{Bench, Server, net, wait};
use std::cell::Cell;
use std::time::Duration;

/// What a scene is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// What alice calls with.
    pub(crate) client: Kind,
    /// How she is set up.
    pub(crate) alice: JingleSetup<'a>,
    /// Lines of TOML in the trunks.
    pub(crate) trunk: &'a str,
    /// How requests go to the registrar.
    pub(crate) transport: &'a str,
    /// Where it is, if nowhere usual.
    pub(crate) next_hop: &'a str,
    /// What it is.
    pub(crate) registrar: KamailioSetup<'a>,
    /// Where clients reach its media.
    pub(crate) addresses: &'a [&'a str],
    /// Lines of TOML in `[media]`.
    pub(crate) media: &'a str,
    /// Lines of TOML after it.
    pub(crate) more: &'a str,
}

/// What plays a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Chromium.
    Browser,
    /// aiortc, which starts faster.
    Script,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            client: Kind::Script,
            alice: JingleSetup::default(),
            trunk: "",
            transport: "udp",
            next_hop: "",
            registrar: KamailioSetup {
                users: &["carol", "dave", "erin", "frank", "tandem"],
                ..KamailioSetup::default()
            },
            addresses: &[net::ADDRESS],
            media: "",
            more: "",
        }
    }
}

/// A server with Tandem, a registrar, and alice. Phones are started by each test.
pub(crate) struct Scene {
    pub(crate) tandem: Tandem,
    pub(crate) alice: Client,
    clients: Clients,
    reports: Cell<usize>,
    _registrar: Kamailio,
    _running: Running,
    pub(crate) server: Server,
}

enum Clients {
    Browser(Chromium),
    Script(Aiortc),
}

impl Clients {
    fn start(bench: &Bench, kind: Kind) -> Result<Self> {
        Ok(match kind {
            Kind::Browser => Self::Browser(Chromium::start(bench)?),
            Kind::Script => Self::Script(Aiortc::start(bench)?),
        })
    }

    fn log_in(&self, server: Server, setup: JingleSetup<'_>) -> Result<Client> {
        match self {
            Self::Browser(chromium) => chromium.log_in(server, setup),
            Self::Script(aiortc) => aiortc.log_in(server, setup),
        }
    }
}

impl Scene {
    pub(crate) fn open(bench: &Bench, plan: Plan<'_>) -> Result<Self> {
        let server = Server::chosen()?;
        let accounts = ServerSetup {
            accounts: &["alice", "bob", "mallory"],
            ..ServerSetup::default()
        };
        let running = server.start(bench, accounts)?;
        let registrar = Kamailio::start(bench, plan.registrar)?;
        // The port is none that phones use.
        let mut own = format!(
            "[media]\naddresses = {:?}\nport = {MEDIA}\n{}\n{}\n{}",
            plan.addresses,
            sip_addresses(),
            plan.media,
            plan.more
        );
        let mut setup = TandemSetup::with_kamailio(server);
        for trunk in &mut setup.trunks {
            (trunk.extra, trunk.transport) = (plan.trunk, plan.transport);
            if plan.registrar.challenge_gateway {
                trunk.credentials = Some(("tandem", "pw-tandem"));
            }
            if !plan.next_hop.is_empty() {
                trunk.next_hop = plan.next_hop;
                trunk.inbound.push(net::ADDRESS_6);
            }
            if plan.transport == "tls" {
                trunk.next_hop = "localhost:5061";
                own += &trust(&registrar.certificate);
            }
        }
        setup.trunks.push(Trunk {
            name: "desk",
            matches: "*@desk.test",
            next_hop: DESK,
            transport: "udp",
            inbound: vec!["127.0.0.2"],
            extra: plan.trunk,
            ..Trunk::default()
        });
        if net::has_ipv6() {
            setup.listeners.push(("udp", GATEWAY_6));
            setup.trunks.push(Trunk {
                name: "desk6",
                matches: "*@v6.test",
                next_hop: DESK_6,
                transport: "udp",
                inbound: vec![net::ADDRESS_6],
                extra: plan.trunk,
                ..Trunk::default()
            });
        }
        setup.b2bua_extra = &own;
        let mut tandem = Tandem::start(bench, &setup)?;
        tandem.wait_paired()?;
        let clients = Clients::start(bench, plan.client)?;
        let alice = clients.log_in(server, plan.alice)?;
        Ok(Self {
            tandem,
            alice,
            clients,
            reports: Cell::new(0),
            _registrar: registrar,
            _running: running,
            server,
        })
    }

    /// Another client of the same kind.
    pub(crate) fn log_in(&self, setup: JingleSetup<'_>) -> Result<Client> {
        self.clients.log_in(self.server, setup)
    }

    /// The contact that stands for a user of `domain`, with the resource that takes calls.
    pub(crate) fn contact(&self, user: &str, domain: &str) -> String {
        format!(r"{user}\40{domain}@{}/sip", self.server.gateway())
    }

    /// What phones dial for an XMPP user.
    pub(crate) fn uri_of(&self, user: &str) -> String {
        let (domain, gateway) = (self.server.domain(), self.server.gateway());
        format!("sip:{user}%40{domain}@{gateway}")
    }

    /// `client` calls a phone of the registrar that answers at once.
    pub(crate) fn call(&self, client: &Client, phone: &mut Baresip, user: &str) -> Result<String> {
        let sid = client.call(&self.contact(user, "sip.test"))?;
        client.wait_connected(&sid)?;
        phone.wait_established()?;
        Ok(sid)
    }

    /// A phone calls `client`, who takes the call.
    pub(crate) fn be_called(
        &self,
        client: &Client,
        phone: &mut Baresip,
        user: &str,
    ) -> Result<String> {
        phone.dial(&self.uri_of(user))?;
        let proposal = client.wait_proposal()?;
        client.take_proposal(&proposal)?;
        phone.wait_established()?;
        Ok(proposal.id)
    }

    /// Waits for the end of one more call's media, and checks how it went from leg to leg.
    pub(crate) fn expect_path(&self, path: &str) -> Result<()> {
        let line = self.wait_report()?;
        ensure!(
            line.contains(&format!("path=\"{path}\"")),
            "wanted {path:?}, but: {line}"
        );
        Ok(())
    }

    /// Waits for the end of one more call's media, and returns what the log says of it.
    pub(crate) fn wait_report(&self) -> Result<String> {
        let before = self.reports.replace(self.reports.get() + 1);
        wait::until("the media of a call", wait::GENEROUS, || {
            let log = self.tandem.b2bua.read_log()?;
            let mut lines = log.lines().filter(|line| line.contains("media of a call"));
            Ok(lines.nth(before).map(str::to_owned))
        })
    }

    /// Nothing may be left of any call.
    pub(crate) fn close(mut self) -> Result<()> {
        self.tandem.wait_no_calls()?;
        self.tandem.terminate()?;
        self.tandem.expect_clean_log(&[])
    }
}

/// Where phones reach its media, if that is another address than clients do.
fn sip_addresses() -> String {
    if !net::has_ipv6() {
        return String::new();
    }
    format!("sip_addresses = {:?}", [net::ADDRESS, net::ADDRESS_6])
}

/// Trust in the registrar's certificate, and a listener that shows it.
fn trust(certificate: &Certificate) -> String {
    let (file, key) = (certificate.certificate.display(), certificate.key.display());
    format!(
        "\n[sip]\nauthorities = \"{file}\"\n[[listen]]\ntransport = \"tls\"\n\
         address = \"127.0.0.1:5071\"\ncertificate = \"{file}\"\nkey = \"{key}\"\n"
    )
}

/// Both hear the other's tone.
pub(crate) fn expect_tones(client: &Client, sid: &str, phone: &mut Baresip) -> Result<()> {
    client.wait_tone(sid, 440)?;
    phone.wait_tone(550).map(drop)
}

/// The client ends a call.
pub(crate) fn hang_up(client: &Client, sid: &str, phone: &mut Baresip) -> Result<()> {
    client.end(sid, "success")?;
    phone.wait_closed().map(drop)
}

/// Browsers take their time to start.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// The port of Tandem's media for XMPP clients; its second thread has the next one.
pub(crate) const MEDIA: u16 = 30_000;
/// Where scripted phones listen that no registrar knows.
pub(crate) const DESK: &str = "127.0.0.2:5090";
/// The same where tests have asked for IPv6, and where Tandem listens for them.
pub(crate) const DESK_6: &str = "[fd77::1]:5090";
pub(crate) const GATEWAY_6: &str = "[fd77::1]:5070";
