//! Tandem's own two processes, as an administrator runs them.
//!
//! Invariant: what runs are the binaries of this workspace, built in the profile of the tests.

mod config;

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::Bench;
use crate::net::{LIMIT, is_inside, isolated_within};
use crate::process::{Holdings, Process};
use crate::server::{SECRET, Server};
use crate::wait::{self, GENEROUS};
use crate::xmpp::Session;
pub use config::{Setup, Trunk};

/// As [`crate::isolated`], with Tandem built before.
pub fn with_tandem<F: FnOnce(&Bench) -> Result<()>>(test: F) -> Result<()> {
    with_tandem_within(LIMIT, test)
}

/// As [`with_tandem`], with another limit.
pub fn with_tandem_within<F: FnOnce(&Bench) -> Result<()>>(limit: Duration, test: F) -> Result<()> {
    if !is_inside() {
        build()?;
    }
    isolated_within(limit, test)
}

/// Both processes and their configuration.
#[derive(Debug)]
pub struct Tandem {
    /// The XMPP side.
    pub component: Process,
    /// The SIP side.
    pub b2bua: Process,
    server: Server,
    /// The b2bua's binary and configuration.
    asked: (PathBuf, PathBuf),
    bus: PathBuf,
    udp_ports: Vec<u16>,
}

impl Tandem {
    /// Starts both, and waits until they are connected to each other and to the XMPP server.
    pub fn start(bench: &Bench, setup: &Setup<'_>) -> Result<Self> {
        let mut tandem = Self::start_unlinked(bench, setup)?;
        tandem.wait_linked()?;
        Ok(tandem)
    }

    /// Starts both without waiting for anything, for tests in which something is absent.
    pub fn start_unlinked(bench: &Bench, setup: &Setup<'_>) -> Result<Self> {
        let bus = bench.path("bus.sock");
        let b2bua = bench.write("b2bua.toml", &config::write_b2bua(bench, setup, &bus))?;
        let component = bench.write(
            "component.toml",
            &config::write_component(bench, setup, &bus),
        )?;
        let find = |name: &str| {
            setup
                .binaries
                .map_or_else(|| find_binary(name), |directory| Ok(directory.join(name)))
        };
        let asked = (find(B2BUA)?, b2bua.clone());
        let start = |name: &str, config: PathBuf| {
            let mut command = Command::new(find(name)?);
            command.arg("--config").arg(config);
            // Settings of whoever runs the tests are not those of the test.
            for (key, _) in env::vars_os() {
                if key.to_string_lossy().starts_with("TANDEM_") {
                    command.env_remove(key);
                }
            }
            Process::start(bench, name, command)
        };
        let udp = setup
            .listeners
            .iter()
            .filter(|(transport, _)| *transport == "udp");
        Ok(Self {
            b2bua: start(B2BUA, b2bua)?,
            component: start(COMPONENT, component)?,
            server: setup.server,
            asked,
            bus,
            udp_ports: udp
                .filter_map(|(_, address)| address.rsplit(':').next()?.parse().ok())
                .collect(),
        })
    }

    /// Waits until the b2bua listens, both are connected to each other and the component to its server.
    pub fn wait_linked(&mut self) -> Result<()> {
        for port in &self.udp_ports {
            self.b2bua.wait_udp(*port)?;
        }
        // The kernel names a socket by the path it was bound to, which differs in its extension.
        let bus = self.bus.with_extension("").display().to_string();
        self.b2bua.wait_for("a link of the bus", || {
            let sockets = fs::read_to_string("/proc/net/unix")?;
            let linked = sockets
                .lines()
                .any(|line| line.contains(&bus) && line.split(' ').any(|f| f == CONNECTED));
            Ok(linked.then_some(()))
        })?;
        self.component.wait_for("a stream to the server", || {
            let sockets = fs::read_to_string("/proc/net/tcp")?;
            Ok(sockets
                .lines()
                .any(|line| line.contains(SERVER_STREAM))
                .then_some(()))
        })
    }

    /// Asks the b2bua as an admin does, and returns what it says.
    pub fn ask(&self, arguments: &[&str]) -> Result<String> {
        self.ask_with(arguments, "")
    }

    /// The same, with a line on the standard input.
    pub fn ask_with(&self, arguments: &[&str], line: &str) -> Result<String> {
        let (binary, config) = &self.asked;
        let mut command = Command::new(binary);
        command.arg("--config").arg(config).args(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // It may not want any.
            let _ = writeln!(input, "{line}");
        }
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), "{}", text(&output.stderr));
        Ok(text(&output.stdout))
    }

    /// Waits until both know of each other: only then does either take messages for the other.
    pub fn wait_paired(&mut self) -> Result<()> {
        self.component.wait_log("the SIP side is there")?;
        self.b2bua.wait_log("the XMPP side is there").map(drop)
    }

    /// Waits until the media of every call that began was given back, and no port of it is open.
    pub fn wait_no_calls(&mut self) -> Result<()> {
        let log = self.b2bua.log_path().to_owned();
        self.b2bua.wait_for("the end of all calls", || {
            let log = fs::read_to_string(&log)?;
            let count = |words: &str| log.matches(words).count();
            let begun = count("call to SIP") + count("call from SIP");
            let refused = count("call refused") + count("call from SIP refused");
            Ok((count("media of a call") + refused == begun).then_some(()))
        })?;
        self.wait_no_ports()
    }

    /// What both processes hold when all calls are over; as many files as before, or, without a
    /// before, as many twice in a row.
    pub fn settle(&mut self, before: Option<[Holdings; 2]>) -> Result<[Holdings; 2]> {
        self.wait_no_calls()?;
        let mut last = None;
        wait::until("as few open files as before", GENEROUS, || {
            let now = [self.b2bua.holdings()?, self.component.holdings()?];
            let files = |held: [Holdings; 2]| held.map(|held| held.files);
            let same = before.or(last.replace(now)).map(files) == Some(files(now));
            Ok(same.then_some(now))
        })
    }

    /// Waits until no UDP port of calls' SIP legs is open, whatever became of the calls.
    pub fn wait_no_ports(&mut self) -> Result<()> {
        self.b2bua.wait_for("the ports of all calls", || {
            let mut open = Vec::new();
            for table in ["/proc/net/udp", "/proc/net/udp6"] {
                let sockets = fs::read_to_string(table)?;
                let locals = sockets
                    .lines()
                    .filter_map(|line| line.split_whitespace().nth(1));
                let ports = locals
                    .filter_map(|local| u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok());
                open.extend(ports.filter(|port| MEDIA_PORTS.contains(port)));
            }
            Ok(open.is_empty().then_some(()))
        })
    }

    /// Waits until `client` gets an answer from the component's domain.
    pub fn wait_reachable(&self, client: &Session) -> Result<()> {
        wait::until("an answer from the component", GENEROUS, || {
            let answer = client.ask("get", self.server.gateway(), DISCO_INFO)?;
            Ok((answer.kind() == "result").then_some(()))
        })
    }

    /// kill -9 of the component, and a new start.
    pub fn crash_component(&mut self) -> Result<()> {
        self.component.kill_now()?;
        self.component.start_again()
    }

    /// kill -9 of the b2bua, and a new start.
    pub fn crash_b2bua(&mut self) -> Result<()> {
        self.b2bua.kill_now()?;
        self.b2bua.start_again()
    }

    /// Ends both with SIGTERM; an error unless both end well.
    pub fn terminate(&mut self) -> Result<()> {
        for process in [&mut self.component, &mut self.b2bua] {
            let status = process.terminate()?;
            ensure!(status.success(), "SIGTERM ended {process:?} with {status}");
        }
        Ok(())
    }

    /// An error if a log has a line of level ERROR, a password, or one of `bodies`.
    pub fn expect_clean_log(&self, bodies: &[&str]) -> Result<()> {
        for process in [&self.component, &self.b2bua] {
            let log = process.read_log()?;
            for line in log.lines() {
                let confidential = bodies
                    .iter()
                    .copied()
                    .chain([SECRET, "pw-"])
                    .find(|word| line.contains(word));
                if let Some(word) = confidential {
                    bail!("the log tells {word:?}: {line}");
                }
                ensure!(!is_error(line), "the log has an error: {line}");
            }
        }
        Ok(())
    }
}

/// The path of one of the two binaries; see [`build`].
pub fn find_binary(name: &str) -> Result<PathBuf> {
    let path = match env::var_os(BINARIES) {
        Some(directory) => PathBuf::from(directory).join(name),
        None => build_directory()?.join(name),
    };
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build`",
        path.display()
    );
    Ok(path)
}

/// Builds both binaries once per test run, unless `TANDEM_TEST_BINARIES` names a directory that has them.
pub fn build() -> Result<()> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    if env::var_os(BINARIES).is_some() {
        return Ok(());
    }
    let built = BUILT.get_or_init(|| run_cargo().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn run_cargo() -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--bins", "-p", COMPONENT, "-p", B2BUA]);
    command.current_dir(crate::program::source_dir());
    if build_directory()?.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().context("starting cargo")?;
    ensure!(
        output.status.success(),
        "building Tandem: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// `target/debug` or `target/release`: the tests are in its `deps`.
fn build_directory() -> Result<PathBuf> {
    let executable = env::current_exe()?;
    Ok(executable
        .ancestors()
        .nth(2)
        .context("no build directory")?
        .to_owned())
}

/// Both log formats (`[log] format`).
fn is_error(line: &str) -> bool {
    line.contains(" ERROR ") || line.starts_with("ERROR ") || line.contains("\"level\":\"ERROR\"")
}

const COMPONENT: &str = "tandem-component";
const B2BUA: &str = "tandem-b2bua";
const BINARIES: &str = "TANDEM_TEST_BINARIES";
/// Tandem's default for SIP media; nothing else of a test is bound there.
const MEDIA_PORTS: std::ops::RangeInclusive<u16> = 20_000..=29_999;
const DISCO_INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
/// The state of a connected socket in `/proc/net/unix`.
const CONNECTED: &str = "03";
/// A connection to 127.0.0.1:5347 in the state ESTABLISHED, as `/proc/net/tcp` writes it.
const SERVER_STREAM: &str = " 0100007F:14E3 01 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_errors_in_both_log_formats() {
        assert!(
            is_error("2026-01-01T00:00:00Z ERROR tandem: x")
                && is_error(r#"{"level":"ERROR","x":1}"#)
        );
        assert!(!is_error("2026-01-01T00:00:00Z  INFO tandem: no ERRORs"));
    }
}
