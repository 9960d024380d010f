//! A NAT in the kernel, in front of an end of a call: its datagrams come from other ports, and nothing
//! reaches it that it has not asked for.
//!
//! It answers only to whom the end has sent before (address and port dependent), as the strictest do.
//!
//! Invariant: the rules live in the test's own network, and end with this value.

use std::ops::RangeInclusive;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::net::ADDRESS;
use crate::program;

/// A NAT before some ports of [`ADDRESS`].
#[derive(Debug)]
pub struct Nat {
    rules: Vec<Vec<String>>,
}

impl Nat {
    /// What is sent from UDP `inside` seems to come from `outside`.
    pub fn before(inside: RangeInclusive<u16>, outside: RangeInclusive<u16>) -> Result<Self> {
        let (from, to) = (inside.start(), inside.end());
        // What is sent to the end without being asked for must not count as the beginning of a flow,
        // or else its answers would pass as they are.
        let rules = [
            format!(
                "POSTROUTING -t nat -p udp -s {ADDRESS} --sport {from}:{to} -j SNAT --to-source {ADDRESS}:{}-{}",
                outside.start(),
                outside.end()
            ),
            format!("OUTPUT -t raw -p udp -d {ADDRESS} --dport {from}:{to} -j CT --notrack"),
            format!(
                "INPUT -p udp -d {ADDRESS} --dport {from}:{to} -m conntrack --ctstate NEW,UNTRACKED -j DROP"
            ),
        ];
        let mut nat = Self { rules: Vec::new() };
        for rule in rules {
            let rule: Vec<String> = rule.split(' ').map(str::to_owned).collect();
            run("-A", &rule)?;
            nat.rules.push(rule);
        }
        Ok(nat)
    }

    /// How many flows it has translated so far.
    pub fn translated(&self) -> Result<u64> {
        let list = run(
            "-L",
            &["POSTROUTING", "-t", "nat", "-n", "-v", "-x"].map(str::to_owned),
        )?;
        let line = list
            .lines()
            .find(|line| line.contains("SNAT"))
            .context("the rule is gone")?;
        let flows = line.split_whitespace().next().context("no counter")?;
        Ok(flows.parse()?)
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        // The network ends with the test anyway.
        for rule in &self.rules {
            let _ = run("-D", rule);
        }
    }
}

/// Runs iptables with `action` and `rule`.
pub(crate) fn run(action: &str, rule: &[String]) -> Result<String> {
    let iptables = program::find("iptables", "iptables")?;
    let output = Command::new(iptables)
        .args(["-w", action])
        .args(rule)
        .output()?;
    ensure!(
        output.status.success(),
        "iptables: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
