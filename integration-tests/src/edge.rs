//! An edge proxy before a provider's registrar (RFC 5626 §5): customers keep flows to it, and the registrar
//! reaches them by those.

use anyhow::Result;

use crate::bench::Bench;
use crate::process::Process;
use crate::provider::{self, Provider};
use crate::template;

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
        Self::start_with(bench, (name, host), registrar, true)
    }

    /// The same for one that knows nothing of flows: it is no more than a proxy on the way.
    pub fn start_without_flows(
        bench: &Bench,
        (name, host): (&str, &str),
        registrar: &Provider,
    ) -> Result<Self> {
        Self::start_with(bench, (name, host), registrar, false)
    }

    fn start_with(
        bench: &Bench,
        (name, host): (&str, &str),
        registrar: &Provider,
        keeps_flows: bool,
    ) -> Result<Self> {
        let (module, condition) = match keeps_flows {
            true => ("loadmodule \"outbound.so\"\n", "1==1"),
            false => ("", "1==0"),
        };
        let directory = bench.make_dir(name)?.display().to_string();
        let config = template::fill(
            include_str!("../peers/edge.cfg"),
            &[
                ("ADDRESS", host),
                ("REGISTRAR", registrar.address()),
                ("FLOWS", module),
                ("KEEPS_FLOWS", condition),
            ],
        )?;
        let address = format!("{host}:5060");
        let process = provider::run(bench, (name, &directory), &config, &address)?;
        Ok(Self { process, address })
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
