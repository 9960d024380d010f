//! The ways from an XMPP user to a SIP user that are measured, and who stands in the middle.
//!
//! Invariant: the load's end, the server and the subject are the same for both directions.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context, Result};

use super::end::{End, Heard};
use super::meter::Meter;
use super::sip::{LOAD, Sip};
use super::stream::Stream;
use super::text::{Number, USERS};
use super::xmpp::Xmpp;
use super::{floor, namespace};
use crate::bench::Bench;
use crate::process::Process;
use crate::server::{self, COMPONENTS, Running, SECRET, Server};
use crate::tandem::{self, Tandem, Trunk};
use crate::wait::{self, GENEROUS};

/// What carries stanzas between the load and the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Nothing: the load itself is the other side of the subject's stream.
    Bare,
    /// A server whose other component the load is.
    Through(Server),
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Both processes of Tandem.
    Tandem,
    /// The least anybody could do ([`floor`]).
    Floor,
}

/// A server, where there is one.
#[derive(Debug)]
pub struct Road {
    /// Which way it is.
    pub path: Path,
    bench: Bench,
    running: Option<Running>,
    listener: Option<TcpListener>,
}

/// A subject on a road, and both ends.
pub struct Setting {
    /// Ended before the stream, or they would begin a new one.
    _processes: Vec<Process>,
    /// The XMPP users.
    pub xmpp: Xmpp,
    /// The SIP users.
    pub sip: Sip,
    /// What subject and server cost.
    pub meter: Meter,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::Bare,
        Self::Through(Server::Prosody),
        Self::Through(Server::Ejabberd),
    ];

    /// Its name in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Through(Server::Prosody) => "prosody",
            Self::Through(Server::Ejabberd) => "ejabberd",
        }
    }

    fn server(self) -> Server {
        match self {
            // Only its names are used.
            Self::Bare => Server::Prosody,
            Self::Through(server) => server,
        }
    }
}

impl Road {
    /// Starts the server.
    pub fn open(bench: &Bench, path: Path) -> Result<Self> {
        let bench = namespace::below(bench, path.name())?;
        let (running, listener) = match path {
            Path::Bare => (None, Some(TcpListener::bind(COMPONENTS)?)),
            Path::Through(server) => {
                let setup = server::Setup {
                    more_components: &[USERS],
                    ..server::Setup::default()
                };
                (Some(server.start(&bench, setup)?), None)
            }
        };
        Ok(Self {
            path,
            bench,
            running,
            listener,
        })
    }

    /// Puts `subject` on the road, and waits until it carries messages both ways.
    ///
    /// Its files are new: nothing of an earlier subject is restored.
    pub fn place(&self, subject: Subject, next: &mut Number) -> Result<Setting> {
        let server = self.path.server();
        let bench = namespace::below(&self.bench, &next.to_string())?;
        let mut processes = Vec::new();
        match subject {
            Subject::Floor => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["floor", server.gateway()]);
                processes.push(("floor", Process::start(&bench, "floor", command)?));
            }
            Subject::Tandem => {
                let tandem = start_tandem(&bench, server, ["", ""])?;
                processes.push(("component", tandem.component));
                processes.push(("b2bua", tandem.b2bua));
            }
        }
        let stream = match &self.listener {
            Some(listener) => Stream::accept(listener)?,
            None => Stream::attach(COMPONENTS, USERS, SECRET)?,
        };
        let sip = Sip::new(floor::ADDRESS, server.gateway())?;
        let mut metered: Vec<_> = processes
            .iter()
            .map(|(name, process)| (*name, process.id()))
            .collect();
        metered.extend(
            self.running
                .iter()
                .map(|running| ("server", running.process.id())),
        );
        let mut setting = Setting {
            _processes: processes.into_iter().map(|(_, process)| process).collect(),
            xmpp: Xmpp::new(stream, server.gateway()),
            sip: match subject {
                Subject::Tandem => sip,
                Subject::Floor => sip.silent(),
            },
            meter: Meter::new(&metered),
        };
        setting.wait_open(next)?;
        Ok(setting)
    }
}

/// Starts both processes beside the load's two ends; `more` stands at the end of the files of the b2bua and
/// the component.
pub fn start_tandem(bench: &Bench, server: Server, more: [&str; 2]) -> Result<Tandem> {
    let [b2bua_extra, component_extra] = more;
    let binaries = namespace::binaries()?;
    let trunk = Trunk {
        name: "load",
        matches: "*@sip.test",
        next_hop: LOAD,
        transport: "udp",
        inbound: vec!["127.0.0.1"],
        ..Trunk::default()
    };
    let setup = tandem::Setup {
        listeners: vec![("udp", floor::ADDRESS)],
        user_domains: vec![server.domain(), USERS],
        binaries: Some(&binaries),
        // One line for every refusal of an overload would be measured, too.
        log_level: "warn",
        b2bua_extra,
        component_extra,
        ..tandem::Setup::with_trunk(server, trunk)
    };
    Tandem::start_unlinked(bench, &setup)
}

impl Setting {
    /// Waits until a message gets through in each direction.
    fn wait_open(&mut self, next: &mut Number) -> Result<()> {
        let Self { xmpp, sip, .. } = self;
        wait_through(xmpp, sip, next).context("from XMPP to SIP")?;
        wait_through(sip, xmpp, next).context("from SIP to XMPP")
    }
}

fn wait_through(source: &mut dyn End, sink: &mut dyn End, next: &mut Number) -> Result<()> {
    let mut heard = Vec::new();
    let mut asked = 0_u32;
    wait::until("a message to get through", GENEROUS, || {
        // A new one each time: what was refused once stays refused.
        if asked.is_multiple_of(20) {
            *next += 1;
            source.send(*next, 0);
        }
        asked += 1;
        source.flush()?;
        sink.flush()?;
        source.hear(&mut heard)?;
        sink.hear(&mut heard)?;
        sink.flush()?;
        let through = |heard: &Heard| matches!(heard, Heard::Delivered(_));
        let through = heard.iter().any(through);
        Ok(through.then(|| *next += 1))
    })
}
