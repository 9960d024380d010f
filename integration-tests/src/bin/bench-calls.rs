//! `just bench-calls`: calls set up and ended a second, what Tandem adds to a set-up, and their memory.
//!
//! ```text
//! bench-calls [--quick] [--seconds SECONDS] [--rate CALLS]...
//! ```
//! Both Tandem binaries must lie beside this program, built in the same profile.

use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use integration_tests::Bench;
use integration_tests::load::calls::bench::{self, Setting};
use integration_tests::load::case::Direction;
use integration_tests::load::namespace;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

fn main() -> Result<ExitCode> {
    let mut choice = Choice {
        time: Duration::from_secs(10),
        rates: Vec::new(),
        held: 1000,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--quick" {
            choice = Choice {
                time: Duration::from_secs(3),
                rates: vec![20.0, 200.0],
                held: 300,
            };
            continue;
        }
        let value = arguments.next();
        let value = value.with_context(|| format!("{argument}: see the head of bench-calls.rs"))?;
        match argument.as_str() {
            "--seconds" => choice.time = Duration::from_secs(value.parse()?),
            "--rate" => choice.rates.push(value.parse()?),
            _ => bail!("{argument}: see the head of bench-calls.rs"),
        }
    }
    if choice.rates.is_empty() {
        choice.rates = vec![20.0, 100.0, 200.0, 400.0, 800.0, 1200.0];
    }
    namespace::enter(|bench| choice.run(bench))
}

struct Choice {
    time: Duration,
    rates: Vec<f64>,
    held: u32,
}

impl Choice {
    fn run(&self, bench: &Bench) -> Result<()> {
        let mut own = CpuSet::new();
        own.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &own)?;
        let mut setting = Setting::open(bench)?;
        let [component, b2bua] = setting.measure_memory(self.held)?;
        writeln!(
            stdout(),
            "{} calls held: {:.1} and {:.1} KiB each (component and b2bua); as many again leave {:.1} and {:.1} behind\n",
            self.held,
            component.0,
            b2bua.0,
            component.1,
            b2bua.1,
        )?;
        writeln!(stdout(), "{}", bench::HEAD)?;
        for direction in Direction::BOTH {
            for &rate in &self.rates {
                let case = setting.measure(direction, rate, self.time)?;
                writeln!(stdout(), "{}", bench::line(&case))?;
            }
        }
        Ok(())
    }
}
