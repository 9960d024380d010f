//! What was measured, as a table.

use std::time::Duration;

use super::path::Path;
use super::pump::Outcome;
use super::sound::{CLIENT, PHONE};
use super::subject::Subject;

/// One subject on one path with so many calls.
#[derive(Clone, Debug)]
pub struct Case {
    /// Who.
    pub subject: Subject,
    /// What was to be done.
    pub path: Path,
    /// Calls.
    pub calls: usize,
    /// What came of it.
    pub outcome: Outcome,
    /// CPU of the subject.
    pub cpu: Duration,
    /// How long it was measured.
    pub time: Duration,
    /// CPU of the load.
    pub load: Duration,
    /// KiB of memory that a call took.
    pub memory: f64,
}

impl Case {
    /// CPU of a packet in microseconds: it came in at one end and went out at the other.
    pub fn cost(&self) -> f64 {
        let carried: u64 = self.outcome.carried.iter().sum();
        self.cpu.as_secs_f64() * 1e6 / carried.max(1) as f64
    }

    /// The share of a core.
    pub fn share(&self) -> f64 {
        self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }

    /// Calls that a core would carry at this cost: 50 packets a second each way.
    pub fn calls_per_core(&self) -> f64 {
        1e6 / (self.cost().max(1e-9) * 100.0)
    }

    /// Why this is no measurement; nothing if it is one.
    pub fn fault(&self) -> Option<String> {
        let outcome = &self.outcome;
        if outcome.spoilt > 0 {
            return Some(format!("{} packets were not what was said", outcome.spoilt));
        }
        let wanted = [
            (CLIENT, outcome.heard.first()),
            (PHONE, outcome.heard.last()),
        ];
        for (hertz, heard) in wanted {
            let heard = heard.copied().flatten();
            // The load overwrites a part of each packet that is passed on, and so its sound.
            if !self.path.is_relayed() && !heard.is_some_and(|heard| heard.is_tone(hertz)) {
                return Some(format!("{hertz} Hz was said, but heard was {heard:?}"));
            }
        }
        None
    }
}

/// The head of the table.
pub const HEAD: &str = "\
| path | subject | calls | lost | CPU us a packet | packets/s a core | calls a core | its core | the load's | p50 / p99 ms | KiB a call |
|---|---|---|---|---|---|---|---|---|---|---|";

/// One line of it.
pub fn line(case: &Case) -> String {
    let Outcome { latency, late, .. } = &case.outcome;
    let at = |percent| latency.percentile(percent);
    let latency = match at(50).zip(at(99)) {
        Some((half, most)) => format!("{half:.2} / {most:.2}"),
        None => String::new(),
    };
    let late = if *late > 0 { " (late)" } else { "" };
    format!(
        "| {} | {} | {} | {:.3} % | {:.2} | {:.0} | {:.0} | {:.0} % | {:.0} %{late} | {latency} | {:.1} |",
        case.path.title(),
        case.subject.name(),
        case.calls,
        case.outcome.loss() * 100.0,
        case.cost(),
        1e6 / case.cost().max(1e-9),
        case.calls_per_core(),
        case.share() * 100.0,
        case.load.as_secs_f64() / case.time.as_secs_f64() * 100.0,
        case.memory,
    )
}
