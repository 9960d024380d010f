//! What processes cost: CPU time and memory, from `/proc`.
//!
//! Invariant: CPU is the scheduler's own count in nanoseconds, of all threads that live.

use std::fs;

use anyhow::{Context, Result};

/// Processes by name.
#[derive(Debug, Clone)]
pub struct Meter {
    processes: Vec<(&'static str, u32)>,
}

/// CPU used by each process, in nanoseconds, in the order of the meter.
pub type Reading = Vec<(&'static str, u64)>;

impl Meter {
    /// A meter of these processes and of this one, which it calls `load`.
    pub fn new(processes: &[(&'static str, u32)]) -> Self {
        let own = ("load", std::process::id());
        Self {
            processes: processes.iter().copied().chain([own]).collect(),
        }
    }

    /// CPU used since each process began.
    pub fn read(&self) -> Result<Reading> {
        let cpu = |&(name, id)| Ok((name, cpu_of(id)?));
        self.processes.iter().map(cpu).collect()
    }

    /// Resident memory of each process, in MiB.
    pub fn read_memory(&self) -> Result<Vec<(&'static str, f64)>> {
        let memory = |&(name, id)| Ok((name, memory_of(id)?));
        self.processes.iter().map(memory).collect()
    }
}

/// What was used between two readings of one meter.
pub fn difference(before: &Reading, after: &Reading) -> Reading {
    let pairs = before.iter().zip(after);
    pairs
        .map(|((name, before), (_, after))| (*name, after.saturating_sub(*before)))
        .collect()
}

fn cpu_of(id: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let path = thread?.path().join("schedstat");
        let text = fs::read_to_string(&path)?;
        let first = text.split(' ').next().unwrap_or_default();
        sum += first
            .parse::<u64>()
            .with_context(|| path.display().to_string())?;
    }
    Ok(sum)
}

fn memory_of(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("no VmRSS")?.parse::<f64>()? / 1024.0)
}
