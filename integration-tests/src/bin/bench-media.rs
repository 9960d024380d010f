//! `just bench-media`: what a packet of a call costs, beside `rtpengine-daemon` and a floor.
//!
//! ```text
//! bench-media [--quick] [--seconds SECONDS] [--settle SECONDS] [--calls CALLS]... [--path plain|rtp|sdes|transcoded]...
//!             [--subject floor|rtpengine|tandem]...
//! ```
//! `--settle` is the time before the measured one: with 34 SIP has forgotten how the calls began, and memory
//! is that of calls alone. A choice that is left out is all of its values. `tandem-b2bua` must lie beside this program, built
//! in the same profile.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use integration_tests::Bench;
use integration_tests::load::media::forwarder;
use integration_tests::load::media::path::Path;
use integration_tests::load::media::pump::Pump;
use integration_tests::load::media::report::{self, Case};
use integration_tests::load::media::subject::{Subject, memory};
use integration_tests::load::meter::{Meter, difference};
use integration_tests::load::namespace;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, count, phones] = arguments.as_slice()
        && word == "forward"
    {
        forwarder::run(count, phones)?;
        return Ok(ExitCode::SUCCESS);
    }
    let choice = Choice::read(arguments)?;
    namespace::enter(|bench| choice.run(bench))
}

struct Choice {
    seconds: u64,
    settle: u64,
    calls: Vec<usize>,
    paths: Vec<Path>,
    subjects: Vec<Subject>,
}

impl Choice {
    fn read(arguments: Vec<String>) -> Result<Self> {
        let mut choice = Self {
            seconds: 10,
            settle: 1,
            calls: Vec::new(),
            paths: Vec::new(),
            subjects: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if argument == "--quick" {
                choice.seconds = 3;
                choice.calls = vec![400];
                continue;
            }
            let value = arguments.next();
            let value =
                value.with_context(|| format!("{argument}: see the head of bench-media.rs"))?;
            let path = Path::ALL.into_iter().find(|path| path.name() == value);
            let subject = Subject::ALL.into_iter().find(|it| it.name() == value);
            match (argument.as_str(), path, subject) {
                ("--seconds", ..) => choice.seconds = value.parse()?,
                ("--settle", ..) => choice.settle = value.parse()?,
                ("--calls", ..) => choice.calls.push(value.parse()?),
                ("--path", Some(path), _) => choice.paths.push(path),
                ("--subject", _, Some(subject)) => choice.subjects.push(subject),
                _ => bail!("{argument} {value}: see the head of bench-media.rs"),
            }
        }
        Ok(choice)
    }

    fn run(&self, bench: &Bench) -> Result<()> {
        let mut own = CpuSet::new();
        own.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &own)?;
        writeln!(stdout(), "{}", report::HEAD)?;
        let chosen = |path: &&Path| self.paths.is_empty() || self.paths.contains(path);
        for &path in Path::ALL.iter().filter(chosen) {
            for &calls in self.calls_on(path) {
                for subject in Subject::ALL {
                    let is_chosen = self.subjects.is_empty() || self.subjects.contains(&subject);
                    if is_chosen && subject.carries(path) {
                        let case = self.measure(bench, subject, path, calls)?;
                        writeln!(stdout(), "{}", report::line(&case))?;
                        if let Some(fault) = case.fault() {
                            bail!("{} with {}: {fault}", path.title(), subject.name());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn calls_on(&self, path: Path) -> &[usize] {
        match path {
            _ if !self.calls.is_empty() => &self.calls,
            Path::Transcoded => &[60, 120, 240],
            Path::Plain | Path::DtlsToRtp | Path::DtlsToSdes => &[100, 400, 1000],
        }
    }

    fn measure(&self, bench: &Bench, subject: Subject, path: Path, calls: usize) -> Result<Case> {
        let name = format!("{}-{}-{calls}", path.name(), subject.name());
        let bench = namespace::below(bench, &name)?;
        let mut placed = subject
            .place(&bench, path, calls)
            .with_context(|| format!("{calls} calls with {}", subject.name()))?;
        let mut pump = Pump::new(path, &placed.phones, &mut placed.lines)?;
        pump.run(Duration::from_secs(self.settle))?;
        let meter = Meter::new(&[("subject", placed.pid)]);
        let (before, start) = (meter.read()?, Instant::now());
        let outcome = pump.run(Duration::from_secs(self.seconds))?;
        let (used, time) = (difference(&before, &meter.read()?), start.elapsed());
        let cpu = |at: usize| Duration::from_nanos(used.get(at).map_or(0, |(_, used)| *used));
        let memory = memory(placed.pid)?.saturating_sub(placed.before);
        ensure!(
            !placed.process.has_ended()?,
            "{} ended by itself",
            subject.name()
        );
        if outcome.carried.contains(&0) {
            writeln!(stderr(), "{}", bench.log("tandem-b2bua").display())?;
        }
        Ok(Case {
            subject,
            path,
            calls,
            outcome,
            cpu: cpu(0),
            time,
            load: cpu(1),
            memory: memory as f64 / calls as f64,
        })
    }
}
