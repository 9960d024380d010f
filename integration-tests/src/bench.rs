//! The temporary directory of one test: configurations, state, sockets and logs.
//!
//! Invariant: everything a test writes lies below [`Bench::path`], and logs are its `*.log` files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One test's place; made by [`crate::isolated`].
#[derive(Debug)]
pub struct Bench {
    directory: PathBuf,
}

impl Bench {
    /// A bench in a directory that exists; whoever made the directory removes it.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The path of `name`, which need not exist. It is short enough for a Unix socket.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The same as text, for configuration files.
    pub fn text_path(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Makes the directory `name` (and those above it).
    pub fn make_dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    /// Writes `text` to the file `name`, making its directory.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Where the process `name` logs.
    pub fn log(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.log"))
    }
}

/// The log files of a bench's directory, in the order of their names.
pub(crate) fn list_logs(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    logs.sort();
    Ok(logs)
}

/// The last `lines` lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let skipped = all.len().saturating_sub(lines);
    all.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}
