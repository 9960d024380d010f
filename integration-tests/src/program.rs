//! Where the peers' programs are, and how to get one that is missing.
//!
//! Invariant: an absent peer fails the test that needs it and names the line that installs it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The path of `program`, which Debian ships in `package`.
pub fn find(program: &str, package: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Daemons sit in sbin, which an ordinary user's PATH lacks.
    let places = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    for place in places {
        let candidate = place.join(program);
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!(
        "{program} is not installed: run `.ci/deps test`, or `sudo apt-get install --no-install-recommends {package}`"
    );
}

/// The interpreter of the environment that `.ci/deps` made for `py/requirements.txt`.
pub fn find_python() -> Result<PathBuf> {
    let python = source_dir().join(".venv/bin/python");
    if !python.is_file() {
        bail!("{} is missing: run `.ci/deps test`", python.display());
    }
    Ok(python)
}

/// This crate's directory.
pub fn source_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_the_line_that_installs_it() {
        let error = find("no-such-phone", "phone-core").unwrap_err().to_string();
        assert!(
            error.contains(".ci/deps test")
                && error.contains("install --no-install-recommends phone-core")
        );
    }
}
