//! The promise on real processes: what `src/promise.rs` draws, carries out and judges.
//!
//! `TANDEM_PROMISE_SEEDS=4711,4712` repeats runs, `TANDEM_PROMISE_RUNS=20` makes new ones; both are
//! for each victim. A failure prints its seed.

#[path = "promise/answers.rs"]
mod answers;
#[path = "promise/retries.rs"]
mod retries;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::promise::plan::{Plan, Victim};
use integration_tests::promise::stream::{Stage, choose_seeds};
use integration_tests::promise::tally::Tally;
use integration_tests::tandem::with_tandem_within;
use integration_tests::{Bench, Server};

#[test]
fn the_promise_holds_when_the_component_is_killed() -> Result<()> {
    with_tandem_within(limit()?, |bench| kill(bench, Victim::Component))?;
    tell(Victim::Component)
}

#[test]
fn the_promise_holds_when_the_b2bua_is_killed() -> Result<()> {
    with_tandem_within(limit()?, |bench| kill(bench, Victim::B2bua))?;
    tell(Victim::B2bua)
}

#[test]
fn the_promise_holds_when_both_processes_are_killed() -> Result<()> {
    with_tandem_within(limit()?, |bench| kill(bench, Victim::Both))?;
    tell(Victim::Both)
}

#[test]
fn the_promise_holds_when_the_server_is_killed() -> Result<()> {
    with_tandem_within(limit()?, |bench| kill(bench, Victim::Server))?;
    tell(Victim::Server)
}

#[test]
fn the_promise_holds_when_the_sip_peer_is_killed() -> Result<()> {
    with_tandem_within(limit()?, |bench| kill(bench, Victim::Phone))?;
    tell(Victim::Phone)
}

#[test]
fn the_promise_holds_on_ejabberd_when_both_processes_are_killed() -> Result<()> {
    with_tandem_within(limit()?, |bench| {
        let plan = Plan::draw(SEEDS[0], Victim::Both);
        let mut stage = Stage::set(bench, Server::Ejabberd)?;
        stage.play(&plan)?;
        stage.strike()
    })
}

/// Runs every seed with `victim`, and writes the counts down for [`tell`].
fn kill(bench: &Bench, victim: Victim) -> Result<()> {
    let seeds = choose_seeds(&SEEDS)?;
    let mut stage = Stage::set(bench, Server::chosen()?)?;
    let mut total = Tally::default();
    for seed in &seeds {
        let tally = stage
            .play(&Plan::draw(*seed, victim))
            .with_context(|| format!("victim {victim:?}, TANDEM_PROMISE_SEEDS={seed}"))?;
        total.add(&tally);
    }
    let commits = stage.read_commits()?;
    stage.strike()?;
    let waits: Vec<u64> = [50, 99, 100]
        .iter()
        .filter_map(|share| {
            commits.get((commits.len() * share / 100).min(commits.len().saturating_sub(1)))
        })
        .copied()
        .collect();
    let counts = format!(
        "promise, {victim:?} killed, seeds {seeds:?}: {total}; {} commits, microseconds until half, 99 %, all of \
         them were done: {waits:?}\n",
        commits.len()
    );
    fs::write(counts_path(victim)?, counts)?;
    Ok(())
}

/// Prints the counts, past libtest, which shows nothing of a test that passes.
fn tell(victim: Victim) -> Result<()> {
    let counts = fs::read(counts_path(victim)?)?;
    std::io::stderr().write_all(&counts)?;
    Ok(())
}

fn counts_path(victim: Victim) -> Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let build = executable
        .ancestors()
        .nth(2)
        .context("no build directory")?;
    Ok(build.join(format!("promise-{victim:?}.txt")))
}

/// Generous, since every run of a test is in it.
fn limit() -> Result<Duration> {
    let runs = std::env::var("TANDEM_PROMISE_RUNS").map_or(Ok(0), |runs| runs.parse())?;
    Ok(Duration::from_secs(240 + 60 * runs))
}

/// The seeds of an ordinary run.
const SEEDS: [u64; 2] = [11, 12];
