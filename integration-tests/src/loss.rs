//! Packets lost in the kernel, for ends of a call that cannot be sent through a [`crate::relay`].
//!
//! Every so-manieth packet is dropped, so that a run loses as much as any other.
//!
//! Invariant: the rule lives in the test's own network, and ends with this value.

use std::ops::RangeInclusive;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::program;

/// A rule that drops packets.
#[derive(Debug)]
pub struct Loss {
    rule: Vec<String>,
}

impl Loss {
    /// Drops every `count`th packet to UDP `ports`.
    pub fn every(count: u32, ports: RangeInclusive<u16>) -> Result<Self> {
        let rule = format!(
            "INPUT -p udp --dport {}:{} -m statistic --mode nth --every {count} --packet 0 -j DROP",
            ports.start(),
            ports.end()
        );
        let rule: Vec<String> = rule.split(' ').map(str::to_owned).collect();
        run(&["-A"], &rule)?;
        Ok(Self { rule })
    }

    /// How many it has dropped so far.
    pub fn dropped(&self) -> Result<u64> {
        let list = run(&["-L", "INPUT", "-n", "-v", "-x"], &[])?;
        let line = list
            .lines()
            .find(|line| line.contains("DROP"))
            .context("the rule is gone")?;
        let packets = line.split_whitespace().next().context("no counter")?;
        Ok(packets.parse()?)
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        // The network ends with the test anyway.
        let _ = run(&["-D"], &self.rule);
    }
}

fn run(arguments: &[&str], rule: &[String]) -> Result<String> {
    let iptables = program::find("iptables", "iptables")?;
    let output = Command::new(iptables)
        .arg("-w")
        .args(arguments)
        .args(rule)
        .output()?;
    ensure!(
        output.status.success(),
        "iptables: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
