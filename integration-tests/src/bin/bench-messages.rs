//! `just bench-messages`: how many messages Tandem carries, how fast, and at what cost.
//!
//! ```text
//! bench-messages [--quick | --limit SECONDS | --memory CONVERSATIONS] [--window MESSAGES] [--json FILE] [--path bare|prosody|ejabberd]...
//!                [--direction to-sip|to-xmpp]... [--subject tandem|floor]...
//! ```
//! A choice that is left out is all of its values; `--limit` measures the closed loop alone, `--memory`
//! the memory alone.
//! Both Tandem binaries must lie beside this program, built in the same profile.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use integration_tests::load::case::{self, Case, Direction};
use integration_tests::load::path::{Path, Road, Subject};
use integration_tests::load::plan::Plan;
use integration_tests::load::{floor, namespace, report};
use integration_tests::{Bench, Server};
use serde_json::Value;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, gateway] = arguments.as_slice()
        && word == "floor"
    {
        floor::run(gateway)?;
        return Ok(ExitCode::SUCCESS);
    }
    let choice = Choice::read(arguments)?;
    namespace::enter(|bench| choice.run(bench))
}

struct Choice {
    plan: Plan,
    json: Option<String>,
    paths: Vec<Path>,
    directions: Vec<Direction>,
    subjects: Vec<Subject>,
}

impl Choice {
    fn read(arguments: Vec<String>) -> Result<Self> {
        let mut choice = Self {
            plan: Plan::WHOLE,
            json: None,
            paths: Vec::new(),
            directions: Vec::new(),
            subjects: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if argument == "--quick" {
                choice.plan = Plan::QUICK;
                continue;
            }
            let value = arguments
                .next()
                .with_context(|| format!("{argument}: see the head of bench-messages.rs"))?;
            match (argument.as_str(), value.as_str()) {
                ("--limit", seconds) => {
                    choice.plan = Plan::limit_for(Duration::from_secs(seconds.parse()?));
                }
                ("--memory", seen) => choice.plan = Plan::memory_of(seen.parse()?),
                ("--window", messages) => choice.plan.window = messages.parse()?,
                ("--json", _) => choice.json = Some(value),
                ("--path", "bare") => choice.paths.push(Path::Bare),
                ("--path", "prosody") => choice.paths.push(Path::Through(Server::Prosody)),
                ("--path", "ejabberd") => choice.paths.push(Path::Through(Server::Ejabberd)),
                ("--direction", "to-sip") => choice.directions.push(Direction::ToSip),
                ("--direction", "to-xmpp") => choice.directions.push(Direction::ToXmpp),
                ("--subject", "tandem") => choice.subjects.push(Subject::Tandem),
                ("--subject", "floor") => choice.subjects.push(Subject::Floor),
                _ => bail!("{argument} {value}: see the head of bench-messages.rs"),
            }
        }
        complete(&mut choice.paths, &Path::ALL);
        complete(&mut choice.directions, &Direction::BOTH);
        complete(&mut choice.subjects, &[Subject::Floor, Subject::Tandem]);
        Ok(choice)
    }

    fn run(&self, bench: &Bench) -> Result<()> {
        let (mut cases, mut memory, mut next) = (Vec::<Case>::new(), Value::Null, 1);
        for &path in &self.paths {
            let road = Road::open(bench, path)?;
            for &subject in &self.subjects {
                let mut setting = road.place(subject, &mut next)?;
                let measured = !self.plan.limit.is_zero();
                for &direction in self.directions.iter().filter(|_| measured) {
                    let place = (path, direction, subject);
                    let case = case::measure(&mut setting, place, &self.plan, &mut next)?;
                    writeln!(stderr(), "{}", report::line(&case))?;
                    cases.push(case);
                }
                if (path, subject) == (Path::Bare, Subject::Tandem) && self.plan.seen > 0 {
                    drop(setting);
                    let mut setting = road.place(subject, &mut next)?;
                    memory = case::measure_memory(&mut setting, &self.plan, &mut next)?;
                }
            }
        }
        write!(stdout(), "{}", report::tables(&cases, &memory))?;
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&report::json(&cases, &memory))?;
            std::fs::write(file, text + "\n")?;
        }
        Ok(())
    }
}

fn complete<T: Copy>(chosen: &mut Vec<T>, all: &[T]) {
    if chosen.is_empty() {
        chosen.extend_from_slice(all);
    }
}
