//! `just bench-messages`: how many messages Tandem carries, how fast, and at what cost.
//!
//! ```text
//! bench-messages [--quick] [--json FILE] [--path bare|prosody|ejabberd]... [--no-floor]
//! ```
//! Both Tandem binaries must lie beside this program, built in the same profile.

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

use anyhow::{Result, bail};
use integration_tests::Bench;
use integration_tests::load::case::{self, Case, Direction};
use integration_tests::load::path::{Path, Road, Subject};
use integration_tests::load::plan::Plan;
use integration_tests::load::{floor, namespace, report};
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
    subjects: Vec<Subject>,
}

impl Choice {
    fn read(arguments: Vec<String>) -> Result<Self> {
        let mut choice = Self {
            plan: Plan::WHOLE,
            json: None,
            paths: Vec::new(),
            subjects: vec![Subject::Floor, Subject::Tandem],
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match (argument.as_str(), arguments.as_slice().first()) {
                ("--quick", _) => choice.plan = Plan::QUICK,
                ("--no-floor", _) => choice.subjects = vec![Subject::Tandem],
                ("--only-floor", _) => choice.subjects = vec![Subject::Floor],
                ("--json", Some(_)) => choice.json = arguments.next(),
                ("--path", Some(name)) => {
                    let known = Path::ALL.into_iter().find(|path| path.name() == name);
                    let Some(path) = known else {
                        bail!("--path {name}: bare, prosody or ejabberd");
                    };
                    choice.paths.push(path);
                    arguments.next();
                }
                _ => bail!("{argument}: see the head of bench-messages.rs"),
            }
        }
        if choice.paths.is_empty() {
            choice.paths = Path::ALL.to_vec();
        }
        Ok(choice)
    }

    fn run(&self, bench: &Bench) -> Result<()> {
        let (mut cases, mut memory, mut next) = (Vec::<Case>::new(), Value::Null, 1);
        for &path in &self.paths {
            let road = Road::open(bench, path)?;
            for &subject in &self.subjects {
                let mut setting = road.place(subject, &mut next)?;
                for direction in Direction::BOTH {
                    let place = (path, direction, subject);
                    let case = case::measure(&mut setting, place, &self.plan, &mut next)?;
                    writeln!(stderr(), "{}", report::line(&case))?;
                    cases.push(case);
                }
                if path == Path::Bare && subject == Subject::Tandem {
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
