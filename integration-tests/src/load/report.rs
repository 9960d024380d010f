//! The figures as a table for people and as JSON for programs.
//!
//! Invariant: both hold the same figures.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::case::{Case, Direction, cost, share};
use super::path::{Path, Subject};
use super::tally::Outcome;

/// The tables, in Markdown.
pub fn tables(cases: &[Case], memory: &Value) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "| path | direction | subject | msg/s | p99 < 60 ms, msg/s | p50 / p99 ms at 100/s | answered p50 / p99 ms | CPU us: component | b2bua | both | server | load | cores: subject / server / load |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for case in cases {
        text += &line(case);
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "\n| path | direction | msg/s of the floor | CPU of the floor | added p50 / p99 ms |\n|---|---|---|---|---|"
    );
    for (tandem, floor) in pairs(cases) {
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} % | {:.1} x | {} |",
            tandem.path.name(),
            tandem.direction.name(),
            100.0 * tandem.limit.rate() / floor.limit.rate(),
            subject_cost(tandem) / subject_cost(floor),
            added(tandem, floor),
        );
    }
    let _ = writeln!(
        text,
        "\n| over the limit | direction | offered msg/s | sent | delivered | refused | lost | twice | retransmitted |\n|---|---|---|---|---|---|---|---|---|"
    );
    for case in cases {
        if let Some((rate, outcome)) = &case.over {
            let _ = writeln!(
                text,
                "| {} | {} | {rate:.0} | {} | {} | {} {:?} | {} | {} | {} |",
                case.path.name(),
                case.direction.name(),
                outcome.sent,
                outcome.delivered,
                outcome.refusals(),
                outcome.refused,
                outcome.lost + outcome.lied,
                outcome.repeated,
                outcome.retransmitted,
            );
        }
    }
    let _ = writeln!(text, "\nMemory: {memory}");
    text
}

/// Everything, as JSON.
pub fn json(cases: &[Case], memory: &Value) -> Value {
    let cases: Vec<Value> = cases
        .iter()
        .map(|case| {
            json!({
                "path": case.path.name(),
                "direction": case.direction.name(),
                "subject": name_of(case.subject),
                "limit": figures(&case.limit),
                "bounded": case.bounded.as_ref().map(figures),
                "low": figures(&case.low),
                "over": case.over.as_ref().map(|(rate, outcome)| {
                    json!({"offered": rate, "outcome": figures(outcome)})
                }),
            })
        })
        .collect();
    json!({"cases": cases, "memory": memory})
}

/// One case as a line of the first table.
pub fn line(case: &Case) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    let latencies = |latencies: &super::latency::Latencies| match (
        latencies.percentile(50),
        latencies.percentile(99),
    ) {
        (Some(p50), Some(p99)) => format!("{p50:.2} / {p99:.2}"),
        _ => "-".to_owned(),
    };
    let subject = match case.subject {
        Subject::Tandem => ["component", "b2bua"].as_slice(),
        Subject::Floor => &["floor"],
    };
    let cores: f64 = subject
        .iter()
        .filter_map(|name| share(&case.limit, name))
        .sum();
    format!(
        "| {} | {} | {} | {:.0} | {} | {} | {} | {} | {} | {:.1} | {} | {} | {cores:.2} / {} / {} |",
        case.path.name(),
        case.direction.name(),
        name_of(case.subject),
        case.limit.rate(),
        case.bounded
            .as_ref()
            .map_or("none".to_owned(), |outcome| format!(
                "{:.0}",
                outcome.rate()
            )),
        latencies(&case.low.delivery),
        latencies(&case.low.answer),
        number(cost(&case.limit, "component")),
        number(cost(&case.limit, "b2bua")),
        subject_cost(case),
        number(cost(&case.limit, "server")),
        number(cost(&case.limit, "load")),
        number(share(&case.limit, "server")),
        number(share(&case.limit, "load")),
    )
}

/// CPU of the subject for one message, in microseconds.
fn subject_cost(case: &Case) -> f64 {
    let names = ["component", "b2bua", "floor"];
    names
        .iter()
        .filter_map(|name| cost(&case.limit, name))
        .sum()
}

fn added(tandem: &Case, floor: &Case) -> String {
    let added = |percent| {
        let of = |case: &Case| case.low.delivery.percentile(percent).unwrap_or(f64::NAN);
        of(tandem) - of(floor)
    };
    format!("{:.2} / {:.2}", added(50), added(99))
}

fn pairs(cases: &[Case]) -> impl Iterator<Item = (&Case, &Case)> {
    let of = |subject: Subject| move |case: &&Case| case.subject == subject;
    let key = |case: &Case| -> (Path, Direction) { (case.path, case.direction) };
    cases
        .iter()
        .filter(of(Subject::Tandem))
        .filter_map(move |tandem| {
            let mut floors = cases.iter().filter(of(Subject::Floor));
            Some((tandem, floors.find(|floor| key(floor) == key(tandem))?))
        })
}

fn figures(outcome: &Outcome) -> Value {
    let cpu: serde_json::Map<String, Value> = outcome
        .cpu
        .iter()
        .map(|(name, _)| {
            let (cost, share) = (cost(outcome, name), share(outcome, name));
            (
                (*name).to_owned(),
                json!({"us_per_message": cost, "cores": share}),
            )
        })
        .collect();
    json!({
        "per_second": outcome.rate(),
        "sent": outcome.sent,
        "delivered": outcome.delivered,
        "answered": outcome.answered,
        "refused": outcome.refused,
        "lost": outcome.lost,
        "lied": outcome.lied,
        "repeated": outcome.repeated,
        "retransmitted": outcome.retransmitted,
        "delivery_ms": {"p50": outcome.delivery.percentile(50), "p99": outcome.delivery.percentile(99)},
        "answer_ms": {"p50": outcome.answer.percentile(50), "p99": outcome.answer.percentile(99)},
        "cpu": cpu,
    })
}

fn name_of(subject: Subject) -> &'static str {
    match subject {
        Subject::Tandem => "tandem",
        Subject::Floor => "floor",
    }
}
