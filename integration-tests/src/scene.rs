//! The usual scene of a test: a server with Tandem, one user, and one agent that plays the whole SIP world.
//!
//! The trunk at 127.0.0.1:5090 is the way to every number and to everybody at `phones.test`, and the
//! only address requests may come from besides that of the phones.
//!
//! Invariant: when a scene is open, a message can cross in both directions.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::kamailio::GATEWAY;
use crate::server::{self, Running, Server};
use crate::sip::{Agent, Draft, Message, Path};
use crate::tandem::{self, Tandem, Trunk};
use crate::xmpp::{Session, Xmpp};

/// Everything that runs. Dropped from the top: Tandem first, the server last.
#[derive(Debug)]
pub struct Scene {
    /// Both processes.
    pub tandem: Tandem,
    /// The user `alice`, online.
    pub alice: Session,
    /// For more sessions.
    pub xmpp: Xmpp,
    /// The SIP world.
    pub trunk: Agent,
    /// The server.
    pub running: Running,
    /// Which server.
    pub server: Server,
}

/// What a scene is made of; [`Plan::usual`] is what most tests want.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The server's.
    pub server: server::Setup<'a>,
    /// Tandem's.
    pub tandem: tandem::Setup<'a>,
}

impl<'a> Plan<'a> {
    /// Accounts `alice` and `bob`, and a trunk for everything.
    pub fn usual(server: Server) -> Self {
        Self {
            server: server::Setup {
                accounts: &["alice", "bob"],
                ..server::Setup::default()
            },
            tandem: tandem::Setup::with_trunk(server, trunk()),
        }
    }

    /// Starts everything, and waits until it is ready.
    pub fn open(self, bench: &Bench) -> Result<Scene> {
        let server = self.tandem.server;
        let running = server.start(bench, self.server)?;
        let trunk = Agent::bind(TRUNK)?;
        let mut tandem = Tandem::start(bench, &self.tandem)?;
        let xmpp = Xmpp::start(bench)?;
        let alice = xmpp.log_in(server, "alice", "desk")?;
        // As every client does: others hear nothing of subscriptions (RFC 6121 §2.1.6).
        alice.ask("get", alice.bare(), "<query xmlns='jabber:iq:roster'/>")?;
        tandem.wait_reachable(&alice)?;
        tandem.wait_paired()?;
        Ok(Scene {
            tandem,
            alice,
            xmpp,
            trunk,
            running,
            server,
        })
    }
}

/// The trunk of the usual scene.
pub fn trunk() -> Trunk<'static> {
    Trunk {
        name: "trunk",
        matches: "* *@phones.test",
        next_hop: TRUNK,
        transport: "udp",
        inbound: vec!["127.0.0.1", crate::net::ADDRESS],
        ..Trunk::default()
    }
}

impl Scene {
    /// The usual scene on `server`.
    pub fn open(bench: &Bench, server: Server) -> Result<Self> {
        Plan::usual(server).open(bench)
    }

    /// The usual scene with this trunk instead, on the server that was chosen.
    pub fn by_trunk(bench: &Bench, trunk: Trunk<'_>) -> Result<Self> {
        let mut plan = Plan::usual(Server::chosen()?);
        plan.tandem.trunks = vec![trunk];
        plan.open(bench)
    }

    /// The JID of a contact: `localpart` at the gateway.
    pub fn contact(&self, localpart: &str) -> String {
        format!("{localpart}@{}", self.server.gateway())
    }

    /// Where SIP reaches the account `user`.
    pub fn uri(&self, user: &str) -> String {
        format!(
            "sip:{user}%40{}@{}",
            self.server.domain(),
            self.server.gateway()
        )
    }

    /// A MESSAGE to alice.
    pub fn draft(&self, text: &str) -> Draft {
        Draft::message(&self.uri("alice"), "sip:bob@phones.test", text)
    }

    /// From the trunk to Tandem over UDP.
    pub fn path(&self) -> Result<Path> {
        self.trunk.udp_to(GATEWAY)
    }

    /// Sends `draft` from the trunk, and waits for the final response.
    pub fn ask(&self, draft: &Draft) -> Result<Message> {
        self.trunk.ask(draft, &self.path()?)
    }

    /// Sends `draft` once from the trunk; who wants the answer looks for it.
    pub fn tell(&self, draft: &Draft) -> Result<()> {
        let path = self.path()?;
        path.send(&draft.to_bytes(&path))
    }

    /// Lets alice say `body` to the contact `localpart`, and answers the request with 200.
    pub fn carry(&self, localpart: &str, id: &str, body: &str) -> Result<Message> {
        self.alice.send_chat(&self.contact(localpart), id, body)?;
        let request = self.trunk.expect_body(body)?;
        request.reply(200, "OK")?;
        Ok(request.message)
    }

    /// A message crosses in each direction; `word` tells it from others.
    pub fn expect_crossing(&self, word: &str) -> Result<()> {
        let (out, back) = (format!("out {word}"), format!("in {word}"));
        self.carry(r"bob\40phones.test", &out, &out)?;
        let answer = self.ask(&self.draft(&back))?;
        ensure!(answer.status() == Some(202), "{answer}");
        self.alice.expect_body(&back).map(drop)
    }
}

/// Where the SIP world listens.
pub const TRUNK: &str = "127.0.0.1:5090";
