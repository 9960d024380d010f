//! Both cores on a virtual clock, against the model; see `integration_tests::simulation`.
//!
//! `TANDEM_SIM_RUNS` sets how many seeds are run, `TANDEM_SIM_SEED` the first of them; a failing
//! seed is shrunk and its trace printed.

use integration_tests::model::Tally;
use integration_tests::simulation::{Plan, Report, Sabotage, run, shrink};

#[test]
fn every_message_ends_as_promised() {
    let (first, runs) = (number("TANDEM_SIM_SEED", 1), number("TANDEM_SIM_RUNS", 200));
    println!("seeds {first} to {}", first + runs - 1);
    let mut all = Tally::default();
    for seed in first..first + runs {
        let plan = Plan::new(seed);
        let report = run(&plan);
        if !report.violations.is_empty() {
            let (plan, report) = shrink(plan);
            panic!("seed {seed}, shrunk:\n{plan:#?}\n{}", told(&report));
        }
        add(&mut all, report.tally);
    }
    println!("{all:#?}");
    if runs >= 100 {
        let Tally {
            delivered,
            refused,
            twice,
            uncovered,
            accepted,
            rejected,
            given_up,
        } = all;
        let seen = [
            delivered, refused, twice, uncovered, accepted, rejected, given_up,
        ];
        assert!(!seen.contains(&0), "something never happens: {all:?}");
    }
}

#[test]
fn a_run_follows_from_its_plan() {
    for seed in 1..10 {
        let plan = Plan::new(seed);
        assert_eq!(run(&plan).trace, run(&plan).trace, "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_caught() {
    for sabotage in [
        Sabotage::SameIds,
        Sabotage::SharedId,
        Sabotage::ForgetEarly,
        Sabotage::Overtake,
        Sabotage::ConfirmEarly,
    ] {
        let caught = (1..=100).find_map(|seed| {
            let report = run(&Plan::new(seed).with(sabotage));
            report
                .violations
                .into_iter()
                .next()
                .map(|what| (seed, what))
        });
        let (seed, what) = caught.unwrap_or_else(|| panic!("{sabotage:?} is not caught"));
        println!("{sabotage:?} is caught by seed {seed}: {what}");
    }
}

/// What a failing run looked like.
fn told(report: &Report) -> String {
    format!(
        "{}\n\n{}",
        report.trace.join("\n"),
        report.violations.join("\n")
    )
}

fn add(all: &mut Tally, one: Tally) {
    all.delivered += one.delivered;
    all.refused += one.refused;
    all.twice += one.twice;
    all.uncovered += one.uncovered;
    all.accepted += one.accepted;
    all.rejected += one.rejected;
    all.given_up += one.given_up;
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
