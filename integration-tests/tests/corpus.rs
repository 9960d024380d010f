//! The committed fuzz corpus, replayed on stable: every file as it is, then mutated a fixed number
//! of times from a fixed seed.
//!
//! `TANDEM_FUZZ_MUTATIONS` sets the number of mutations of each file, `TANDEM_FUZZ_SEED` the seed.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

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
    let mut failed = Vec::new();
    for (name, run) in fuzz::TARGETS {
        let files = corpus(name);
        assert!(
            files.len() >= 10,
            "{name} has only {} corpus files",
            files.len()
        );
        let inputs: Vec<Vec<u8>> = files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();
        for (at, input) in inputs.iter().enumerate() {
            let mut mutated = Mutations::new(seed ^ at as u64, &inputs);
            let all =
                std::iter::once(input.clone()).chain((0..mutations).map(|_| mutated.of(input)));
            let broken = all
                .enumerate()
                .find(|(_, input)| catch_unwind(|| run(input)).is_err());
            if let Some((round, input)) = broken {
                let file = files[at].file_name().unwrap_or_default().to_string_lossy();
                failed.push(format!(
                    "{name}/{file}, mutation {round} of seed {seed}: \"{}\"",
                    input.escape_ascii()
                ));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
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
