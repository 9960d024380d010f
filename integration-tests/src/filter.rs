//! Rules of the kernel that lose packets in silence, or count them.
//!
//! Invariant: the rules live in the test's own network, and end with this value.

use anyhow::{Context, Result};

use crate::nat::run;

/// A rule, or two for both directions.
#[derive(Debug)]
pub struct Filter {
    rules: Vec<Vec<String>>,
}

impl Filter {
    /// Nothing passes any more on the TCP connection that has this port at one end.
    pub fn cut_tcp(port: u16) -> Result<Self> {
        Self::add(&[
            format!("INPUT -p tcp --sport {port} -j DROP"),
            format!("INPUT -p tcp --dport {port} -j DROP"),
        ])
    }

    /// Counts datagrams that hold so many bytes.
    pub fn count_udp_of_length(bytes: u16) -> Result<Self> {
        // Both heads are counted.
        let whole = bytes + 28;
        Self::add(&[format!("INPUT -p udp -m length --length {whole}")])
    }

    fn add(rules: &[String]) -> Result<Self> {
        let mut filter = Self { rules: Vec::new() };
        for rule in rules {
            let rule: Vec<String> = rule.split(' ').map(str::to_owned).collect();
            run("-A", &rule)?;
            filter.rules.push(rule);
        }
        Ok(filter)
    }

    /// How many packets the first rule was for.
    pub fn passed(&self) -> Result<u64> {
        let list = run("-L", &["INPUT", "-n", "-v", "-x"].map(str::to_owned))?;
        let line = list.lines().nth(2).context("the rule is gone")?;
        let packets = line.split_whitespace().next().context("no counter")?;
        Ok(packets.parse()?)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // The network ends with the test anyway.
        for rule in &self.rules {
            let _ = run("-D", rule);
        }
    }
}
