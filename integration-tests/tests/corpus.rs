//! The committed fuzz corpus, replayed on stable: every file as it is, then mutated a fixed number
//! of times from a fixed seed.
//!
//! `TANDEM_FUZZ_MUTATIONS` sets the number of mutations of each file, `TANDEM_FUZZ_SEED` the seed.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::thread;

#[path = "../../fuzz/src/lib.rs"]
#[expect(
    clippy::expect_used,
    reason = "an invariant that does not hold is a finding"
)]
pub mod fuzz;

#[path = "corpus/mutate.rs"]
mod mutate;

use mutate::Mutations;

#[test]
fn every_target_survives_its_corpus_and_what_is_close_to_it() {
    let mutations = number("TANDEM_FUZZ_MUTATIONS", 200);
    let seed = number("TANDEM_FUZZ_SEED", 1);
    println!("seed {seed}, {mutations} mutations of each file");
    let findings: Vec<String> = thread::scope(|scope| {
        let replay = |target| scope.spawn(move || replay(target, seed, mutations));
        let threads: Vec<_> = fuzz::TARGETS.iter().map(replay).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Runs a target over its corpus; returns the first input close to each file that broke it.
fn replay((name, run): &fuzz::Target, seed: u64, mutations: u64) -> Vec<String> {
    let files = corpus(name);
    assert!(files.len() >= 10, "{name} has few corpus files");
    let read = |file: &PathBuf| std::fs::read(file).unwrap_or_default();
    let inputs: Vec<Vec<u8>> = files.iter().map(read).collect();
    let mut findings = Vec::new();
    for (at, (file, input)) in (0..).zip(files.iter().zip(&inputs)) {
        let mut close = Mutations::new(seed ^ at, &inputs);
        let mutated = (0..mutations).map(|_| close.of(input));
        let mut all = std::iter::once(input.clone()).chain(mutated).enumerate();
        if let Some((round, broken)) = all.find(|(_, input)| catch_unwind(|| run(input)).is_err()) {
            findings.push(format!(
                "{name}, {}, mutation {round}: \"{}\"",
                file.display(),
                broken.escape_ascii()
            ));
        }
    }
    findings
}

/// The corpus files of one target, in order of their names.
fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
