//! A program under test or a peer: started, watched through its log, and ended.
//!
//! Invariant: a `Process` that goes out of scope is gone, with all of its process group.

use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
pub use nix::sys::signal::Signal;
use nix::sys::signal::killpg;
use nix::unistd::Pid;

use crate::bench::{Bench, tail};
use crate::wait::{self, GENEROUS};

/// What a process holds of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Open files, sockets among them.
    pub files: usize,
    /// Resident memory, in bytes.
    pub memory: u64,
}

/// A running (or ended) program and its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    command: Command,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to the bench's `<name>.log`.
    pub fn start(bench: &Bench, name: &str, command: Command) -> Result<Self> {
        let log = open_log(&bench.log(name))?;
        Self::launch(bench, name, command, Stdio::null(), log.into())
    }

    /// Starts `command` and keeps its standard input.
    pub fn start_with_input(
        bench: &Bench,
        name: &str,
        command: Command,
    ) -> Result<(Self, ChildStdin)> {
        let log = open_log(&bench.log(name))?;
        let mut process = Self::launch(bench, name, command, Stdio::piped(), log.into())?;
        let input = process.child.stdin.take().context("no standard input")?;
        Ok((process, input))
    }

    /// Starts `command` and keeps its standard input and output; only its errors are logged.
    pub fn start_dialogue(
        bench: &Bench,
        name: &str,
        command: Command,
    ) -> Result<(Self, ChildStdin, ChildStdout)> {
        let mut process = Self::launch(bench, name, command, Stdio::piped(), Stdio::piped())?;
        let input = process.child.stdin.take().context("no standard input")?;
        let output = process.child.stdout.take().context("no standard output")?;
        Ok((process, input, output))
    }

    fn launch(
        bench: &Bench,
        name: &str,
        mut command: Command,
        input: Stdio,
        output: Stdio,
    ) -> Result<Self> {
        let log = bench.log(name);
        command
            .stdin(input)
            .stdout(output)
            .stderr(open_log(&log)?)
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            command,
            child,
            log,
        })
    }

    /// Starts the same command again after it ended; the log is continued.
    pub fn start_again(&mut self) -> Result<()> {
        if !self.has_ended()? {
            bail!("{} is still running", self.name);
        }
        self.child = self
            .command
            .spawn()
            .with_context(|| format!("starting {} again", self.name))?;
        Ok(())
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it holds of the system.
    pub fn holdings(&self) -> Result<Holdings> {
        let own = PathBuf::from(format!("/proc/{}", self.id()));
        let status = fs::read_to_string(own.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.split_whitespace().next());
        Ok(Holdings {
            files: fs::read_dir(own.join("fd"))?.count(),
            memory: 1_024 * kilobytes.context("no VmRSS")?.parse::<u64>()?,
        })
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Sends `signal` to the whole process group; one that has ended is left alone.
    pub fn kill(&mut self, signal: Signal) -> Result<()> {
        if self.has_ended()? {
            return Ok(());
        }
        killpg(Pid::from_raw(i32::try_from(self.child.id())?), signal)
            .with_context(|| format!("sending {signal} to {}", self.name))
    }

    /// kill -9, and waits until it is gone.
    pub fn kill_now(&mut self) -> Result<()> {
        self.kill(Signal::SIGKILL)?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end; an error when it does not end by itself.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.kill(Signal::SIGTERM)?;
        self.wait_exit(GENEROUS)
    }

    /// SIGTERM, and SIGKILL for what has not ended soon after: the end of a peer, whose own manner of
    /// ending is not examined here (Kamailio now and then waits for a worker that is gone).
    pub fn stop(&mut self) -> Result<()> {
        self.kill(Signal::SIGTERM)?;
        if self.wait_exit(PATIENCE).is_err() {
            self.kill_now()?;
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        wait::until(&format!("the end of {}", self.name), limit, || {
            Ok(self.child.try_wait()?)
        })
    }

    /// Waits until something accepts TCP connections at `address`.
    pub fn wait_tcp(&mut self, address: &str) -> Result<()> {
        let socket: SocketAddr = address.parse()?;
        self.wait_for(&format!("tcp {address}"), || {
            Ok(TcpStream::connect(socket).is_ok().then_some(()))
        })
    }

    /// Waits until something in this network namespace is bound to UDP `port`.
    pub fn wait_udp(&mut self, port: u16) -> Result<()> {
        let needle = format!(":{port:04X} ");
        self.wait_for(&format!("udp port {port}"), || {
            let sockets =
                fs::read_to_string("/proc/net/udp")? + &fs::read_to_string("/proc/net/udp6")?;
            let bound = sockets.lines().any(|line| {
                line.split_once(": ")
                    .is_some_and(|(_, rest)| local_end(rest, &needle))
            });
            Ok(bound.then_some(()))
        })
    }

    /// Waits for a line of the log that contains `needle`, and returns it.
    pub fn wait_log(&mut self, needle: &str) -> Result<String> {
        self.wait_log_since(0, needle)
    }

    /// As [`Self::wait_log`], looking only behind `mark`.
    pub fn wait_log_since(&mut self, mark: usize, needle: &str) -> Result<String> {
        self.wait_log_where(mark, needle, |line| {
            line.contains(needle).then(|| line.to_owned())
        })
    }

    /// Waits for a line behind `mark` from which `pick` makes a value.
    pub fn wait_log_where<T>(
        &mut self,
        mark: usize,
        what: &str,
        pick: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let log = self.log.clone();
        self.wait_for(&format!("{what:?} in the log"), || {
            Ok(read_from(&log, mark)?.lines().find_map(&pick))
        })
    }

    /// Waits for `condition` as long as the process lives.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut condition: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let what = format!("{} of {}", what, self.name);
        wait::until(&what, GENEROUS, || {
            // Looked at before the condition: what a process did last still counts.
            let ended = self.child.try_wait()?;
            match (condition()?, ended) {
                (Some(value), _) => Ok(Some(value)),
                (None, None) => Ok(None),
                (None, Some(status)) => {
                    let log = read_from(&self.log, 0)?;
                    bail!(
                        "{} ended ({status}) before {what}:\n{}",
                        self.name,
                        tail(&log, 20)
                    )
                }
            }
        })
    }

    /// Everything logged so far; bytes that are no UTF-8 are replaced.
    pub fn read_log(&self) -> Result<String> {
        read_from(&self.log, 0)
    }

    /// Where the log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The present end of the log, for `wait_log_since`.
    pub fn mark(&self) -> Result<usize> {
        Ok(usize::try_from(fs::metadata(&self.log)?.len())?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it is gone already, which is what is wanted.
        let _ = self.stop();
    }
}

/// Whether a process ended by `signal` rather than by itself.
pub fn was_killed_by(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal as i32)
}

fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

fn read_from(path: &Path, mark: usize) -> Result<String> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8_lossy(bytes.get(mark..).unwrap_or_default()).into_owned())
}

/// Whether the first column of a line of `/proc/net/udp` ends in the port.
fn local_end(columns: &str, port: &str) -> bool {
    columns
        .split_inclusive(' ')
        .next()
        .is_some_and(|local| local.ends_with(port))
}

/// What a stopped process gets to end in peace.
const PATIENCE: Duration = Duration::from_secs(2);
