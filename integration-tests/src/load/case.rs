//! One subject on one road in one direction, with everything that is measured of it.
//!
//! Invariant: each measurement starts when the one before has nothing open.

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use super::drive::{Drive, Load, Pace};
use super::end::End;
use super::meter::Reading;
use super::path::{Path, Setting, Subject};
use super::plan::{BOUND, CONVERSATIONS, CROWD, LOW, PATIENCE, Plan, SHARES};
use super::tally::{Outcome, Settled};
use super::text::Number;

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// XMPP to SIP.
    ToSip,
    /// SIP to XMPP.
    ToXmpp,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::ToSip, Self::ToXmpp];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToSip => "XMPP to SIP",
            Self::ToXmpp => "SIP to XMPP",
        }
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Case {
    /// The way.
    pub path: Path,
    /// The direction.
    pub direction: Direction,
    /// Who was measured.
    pub subject: Subject,
    /// The closed loop.
    pub limit: Outcome,
    /// The highest rate that kept the latency bounded.
    pub bounded: Option<Outcome>,
    /// The low rate; nothing where it was left out.
    pub low: Outcome,
    /// The rate over the limit and what came of it.
    pub over: Option<(f64, Outcome)>,
}

/// Measures one direction of `setting`. Only Tandem is overloaded: the floor promises nothing.
pub fn measure(
    setting: &mut Setting,
    (path, direction, subject): (Path, Direction, Subject),
    plan: &Plan,
    next: &mut Number,
) -> Result<Case> {
    let Setting {
        xmpp, sip, meter, ..
    } = setting;
    let (source, sink): (&mut dyn End, &mut dyn End) = match direction {
        Direction::ToSip => (xmpp, sip),
        Direction::ToXmpp => (sip, xmpp),
    };
    let settled_by = match (subject, direction) {
        (Subject::Tandem, Direction::ToXmpp) => Settled::ByAnswer,
        (Subject::Tandem, Direction::ToSip) | (Subject::Floor, _) => Settled::ByDelivery,
    };
    let mut drive = Drive {
        source,
        sink,
        meter,
        settled_by,
        next,
    };
    let load = Load {
        pace: Pace::Window(plan.window),
        conversations: CONVERSATIONS,
        settle: plan.settle,
        measure: plan.limit,
        patience: PATIENCE,
        in_turn: true,
    };
    let low = match plan.low.is_zero() {
        true => Outcome::default(),
        false => drive.run(Load {
            pace: Pace::Rate(LOW),
            measure: plan.low,
            ..load
        })?,
    };
    let limit = drive.run(load)?;
    ensure!(limit.settled > 0, "nothing got through");
    let load = Load {
        // Only a SIP sender waits for its answer before it speaks again.
        in_turn: direction == Direction::ToXmpp,
        ..load
    };
    let bounded = match plan.step.is_zero() {
        true => None,
        false => find_bounded(&mut drive, load, limit.rate(), plan)?,
    };
    let over = match subject {
        Subject::Tandem if !plan.overload.is_zero() => {
            let rate = limit.rate() * 2.0;
            let outcome = drive.run(Load {
                pace: Pace::Rate(rate),
                conversations: CROWD,
                measure: plan.overload,
                in_turn: false,
                ..load
            })?;
            Some((rate, outcome))
        }
        Subject::Tandem | Subject::Floor => None,
    };
    Ok(Case {
        path,
        direction,
        subject,
        limit,
        bounded,
        low,
        over,
    })
}

/// The highest rate that keeps 99 of 100 messages below [`BOUND`].
fn find_bounded(
    drive: &mut Drive<'_>,
    load: Load,
    limit: f64,
    plan: &Plan,
) -> Result<Option<Outcome>> {
    for share in SHARES {
        let outcome = drive.run(Load {
            pace: Pace::Rate(limit * share),
            measure: plan.step,
            ..load
        })?;
        let latency = outcome.delivery.percentile(99).unwrap_or(f64::MAX);
        if latency < BOUND && outcome.lost == 0 && outcome.refusals() == 0 {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

/// Has `setting` see `plan.seen` conversations in each direction; then its memory.
pub fn measure_memory(setting: &mut Setting, plan: &Plan, next: &mut Number) -> Result<Value> {
    let idle = setting.meter.read_memory()?;
    for direction in Direction::BOTH {
        let Setting {
            xmpp, sip, meter, ..
        } = &mut *setting;
        let (source, sink, settled_by): (&mut dyn End, &mut dyn End, _) = match direction {
            Direction::ToSip => (xmpp, sip, Settled::ByDelivery),
            Direction::ToXmpp => (sip, xmpp, Settled::ByAnswer),
        };
        let mut drive = Drive {
            source,
            sink,
            meter,
            settled_by,
            next,
        };
        let outcome = drive.run(Load {
            pace: Pace::Once(plan.window),
            conversations: plan.seen,
            settle: std::time::Duration::ZERO,
            measure: PATIENCE * 3,
            patience: PATIENCE,
            in_turn: true,
        })?;
        ensure!(
            outcome.lost == 0 && outcome.refusals() == 0,
            "memory test, {}: {} lost, {:?}",
            direction.name(),
            outcome.lost,
            outcome.refused
        );
    }
    let pairs = |memory: Vec<(&'static str, f64)>| -> Map<String, Value> {
        let subject = memory.into_iter().filter(|(name, _)| *name != "load");
        subject
            .map(|(name, mib)| (name.to_owned(), json!((mib * 10.0).round() / 10.0)))
            .collect()
    };
    Ok(json!({
        "conversations": plan.seen,
        "idle_mib": pairs(idle),
        "seen_mib": pairs(setting.meter.read_memory()?),
    }))
}

/// CPU of process `name` for one message, in microseconds.
pub fn cost(outcome: &Outcome, name: &str) -> Option<f64> {
    let used = used(&outcome.cpu, name)?;
    Some(used as f64 / 1e3 / outcome.settled.max(1) as f64)
}

/// The share of one core that process `name` used.
pub fn share(outcome: &Outcome, name: &str) -> Option<f64> {
    Some(used(&outcome.cpu, name)? as f64 / 1e9 / outcome.time.as_secs_f64().max(1e-9))
}

fn used(reading: &Reading, name: &str) -> Option<u64> {
    let found = reading.iter().find(|(process, _)| *process == name);
    found.map(|(_, used)| *used)
}
