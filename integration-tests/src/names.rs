//! A name server of the test's own: dnsmasq, with a zone that is given line by line.

use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::process::Process;
use crate::program;

/// The running name server.
#[derive(Debug)]
pub struct Names {
    /// To stop it.
    pub process: Process,
}

impl Names {
    /// Starts it with `zone`, lines in the words of dnsmasq's configuration: `host-record=`,
    /// `srv-host=`, `naptr-record=`.
    pub fn start(bench: &Bench, zone: &str) -> Result<Self> {
        let (host, port) = SERVER.rsplit_once(':').unwrap_or((SERVER, "53"));
        let config = format!(
            "no-resolv\nno-hosts\nbind-interfaces\nlisten-address={host}\nport={port}\n\
             local=/test/\nlocal-ttl=5\nlog-queries\nlog-facility=-\nuser=root\ngroup=root\npid-file=\n{zone}\n"
        );
        let config = bench.write("dnsmasq.conf", &config)?;
        let mut command = Command::new(program::find("dnsmasq", "dnsmasq-base")?);
        command
            .arg("--keep-in-foreground")
            .arg(format!("--conf-file={}", config.display()));
        let mut names = Self {
            process: Process::start(bench, "dnsmasq", command)?,
        };
        names.process.wait_udp(port.parse()?)?;
        Ok(names)
    }
}

/// Where it listens.
pub const SERVER: &str = "127.0.0.1:5353";
