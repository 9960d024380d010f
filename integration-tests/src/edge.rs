//! An edge proxy before a provider's registrar (RFC 5626 §5): customers keep flows to it, and the registrar
//! reaches them by those.

use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::process::Process;
use crate::provider::Provider;
use crate::{program, template};

/// A running edge.
#[derive(Debug)]
pub struct Edge {
    /// To kill it, and to start it again.
    pub process: Process,
    address: String,
}

impl Edge {
    /// Starts one called `name` at `host`, before `registrar`.
    pub fn start(bench: &Bench, (name, host): (&str, &str), registrar: &Provider) -> Result<Self> {
        let directory = bench.make_dir(name)?.display().to_string();
        let config = template::fill(
            include_str!("../peers/edge.cfg"),
            &[("ADDRESS", host), ("REGISTRAR", registrar.address())],
        )?;
        let config = bench.write(&format!("{name}/kamailio.cfg"), &config)?;
        let mut command = Command::new(program::find("kamailio", PACKAGES)?);
        command
            .args(["-DD", "-E", "-m", "64", "-M", "8", "-Y", &directory, "-f"])
            .arg(config);
        let mut edge = Self {
            process: Process::start(bench, name, command)?,
            address: format!("{host}:5060"),
        };
        edge.process.wait_tcp(&edge.address)?;
        Ok(edge)
    }

    /// Starts it again after it was stopped; it knows nobody then.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.start_again()?;
        self.process.wait_tcp(&self.address)
    }

    /// The lines of its log that hold `words`.
    pub fn lines(&self, words: &str) -> Result<Vec<String>> {
        let log = self.process.read_log()?;
        let found = log.lines().filter(|line| line.contains(words));
        Ok(found.map(str::to_owned).collect())
    }
}

const PACKAGES: &str = "kamailio kamailio-outbound-modules";
