//! Who carries the calls that are measured, on a processor core of its own.
//!
//! Invariant: the load runs on core 0, the subject on core 1 with one media thread.

use std::any::Any;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::line::Line;
use super::path::Path;
use super::phones::Phones;
use super::{forwarder, rtpengine, tandem};
use crate::bench::Bench;
use crate::process::Process;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The b2bua.
    Tandem,
    /// `rtpengine-daemon` in userspace.
    Rtpengine,
    /// A forwarder that does nothing else ([`forwarder`]).
    Floor,
}

/// Calls that are up.
pub struct Placed {
    /// Whose CPU is counted.
    pub pid: u32,
    /// Ended with this.
    pub process: Process,
    /// What has to live as long as the calls.
    pub kept: Box<dyn Any>,
    /// The phones.
    pub phones: Phones,
    /// The calls.
    pub lines: Vec<Line>,
    /// Memory before the calls, in KiB.
    pub before: u64,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Floor, Self::Rtpengine, Self::Tandem];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tandem => "tandem",
            Self::Rtpengine => "rtpengine",
            Self::Floor => "floor",
        }
    }

    /// Whether it has such calls at all.
    pub fn carries(self, path: Path) -> bool {
        match self {
            Self::Tandem => path != Path::Plain,
            Self::Rtpengine => true,
            Self::Floor => path == Path::Plain,
        }
    }

    /// Starts it and places `count` calls.
    pub fn place(self, bench: &Bench, path: Path, count: usize) -> Result<Placed> {
        match self {
            Self::Tandem => tandem::place(bench, path, count),
            Self::Rtpengine => rtpengine::place(bench, path, count),
            Self::Floor => forwarder::place(bench, count),
        }
    }
}

/// A command on the subject's core.
pub fn pinned(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(program);
    command
}

/// Memory of a process that nobody shares, in KiB.
pub fn memory(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no Pss")?.parse()?)
}
