//! The XMPP servers Tandem is a component of, behind one face, so that a test runs on either.
//!
//! Invariant: both servers use the default ports, and differ for a test only in their names.

pub mod ejabberd;
pub mod prosody;

use std::env;

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::process::Process;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Prosody, with the user domain `localhost`.
    Prosody,
    /// ejabberd, with the user domain `ejabberd.localhost`.
    Ejabberd,
}

/// What a server does when a second component connects with the same name (Prosody only;
/// ejabberd always lets the new one in).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// Keeps the first and refuses the new one: the default.
    #[default]
    KickNew,
    /// Closes the first.
    KickOld,
}

/// How much the server logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The usual.
    #[default]
    Usual,
    /// Every stanza, for finding out why a test fails.
    Everything,
}

/// What a server is started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// Local parts of the accounts; see [`password_of`].
    pub accounts: &'a [&'a str],
    /// Second connections of a component.
    pub conflict: Conflict,
    /// Logging.
    pub detail: Detail,
    /// The component's block of the configuration, instead of [`Server::component_snippet`].
    pub component: Option<&'a str>,
    /// Domains of more components, with the same secret; see [`crate::xmpp::Xmpp::attach`].
    pub more_components: &'a [&'a str],
    /// Whether Prosody keeps no archive, with which it becomes slower with each message of a user.
    pub forgetful: bool,
}

/// A server that was started.
#[derive(Debug)]
pub struct Running {
    /// Which.
    pub server: Server,
    /// To kill or stop it; [`Running::start_again`] brings it back.
    pub process: Process,
    accounts: Vec<String>,
}

impl Server {
    /// The one named in `TANDEM_TEST_SERVER` (`prosody`, `ejabberd`), else Prosody.
    pub fn chosen() -> Result<Self> {
        match env::var("TANDEM_TEST_SERVER").as_deref() {
            Err(_) | Ok("" | "prosody") => Ok(Self::Prosody),
            Ok("ejabberd") => Ok(Self::Ejabberd),
            Ok(other) => bail!("TANDEM_TEST_SERVER={other}: prosody or ejabberd"),
        }
    }

    /// The domain of its users.
    pub fn domain(self) -> &'static str {
        match self {
            Self::Prosody => "localhost",
            Self::Ejabberd => "ejabberd.localhost",
        }
    }

    /// The domain of the component.
    pub fn gateway(self) -> &'static str {
        match self {
            Self::Prosody => "sip.localhost",
            Self::Ejabberd => "sip.ejabberd.localhost",
        }
    }

    /// The JID of the account `user`.
    pub fn jid(self, user: &str) -> String {
        format!("{user}@{}", self.domain())
    }

    /// What an administrator adds to the server's configuration.
    pub fn component_snippet(self) -> String {
        match self {
            Self::Prosody => prosody::component_snippet(self.gateway()),
            Self::Ejabberd => ejabberd::component_snippet(self.gateway()),
        }
    }

    /// Starts it with the accounts of `setup`, and waits until clients and components can connect.
    pub fn start(self, bench: &Bench, setup: Setup<'_>) -> Result<Running> {
        let component = setup
            .component
            .map_or_else(|| self.component_snippet(), str::to_owned);
        let process = match self {
            Self::Prosody => prosody::start(bench, setup, &component)?,
            Self::Ejabberd => ejabberd::start(bench, setup, &component)?,
        };
        let accounts = setup
            .accounts
            .iter()
            .map(|user| (*user).to_owned())
            .collect();
        let mut running = Running {
            server: self,
            process,
            accounts,
        };
        running.wait_ready()?;
        Ok(running)
    }
}

impl Running {
    /// Starts it again after it was killed or stopped, with its accounts. ejabberd forgets by
    /// `kill -9` what it was told in the last seconds: changes of rosters, archived messages.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.start_again()?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        self.process.wait_tcp(CLIENTS)?;
        self.process.wait_tcp(COMPONENTS)?;
        match self.server {
            Server::Prosody => Ok(()),
            Server::Ejabberd => {
                self.process.wait_tcp(ejabberd::HTTP)?;
                ejabberd::register(&self.accounts)
            }
        }
    }
}

/// The password of every account on servers and registrar.
pub fn password_of(user: &str) -> String {
    format!("pw-{user}")
}

/// Where clients connect.
pub const CLIENTS: &str = "127.0.0.1:5222";
/// Where components connect.
pub const COMPONENTS: &str = "127.0.0.1:5347";
/// The component's secret.
pub const SECRET: &str = "s3cr3t";
