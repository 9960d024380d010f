//! A program in namespaces of its own, as tests are (`net`): nothing it starts outlives it.
//!
//! Invariant: inside, loopback is the only network there is.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::{net, program};

/// Runs `inside` below `unshare`, in a directory that is removed afterwards.
///
/// This process is started again with the same arguments for it, and its exit code becomes ours.
pub fn enter(inside: impl FnOnce(&Bench) -> Result<()>) -> Result<ExitCode> {
    if let Some(directory) = env::var_os(INSIDE) {
        net::tie_to_leash();
        net::raise_network()?;
        inside(&Bench::new(directory.into()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = tempfile::Builder::new().prefix("tandem-load-").tempdir()?;
    let mut child = Command::new(program::find("unshare", "util-linux")?)
        .args(net::unshare_arguments()?)
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(INSIDE, directory.path())
        .stdin(Stdio::piped())
        .spawn()
        .context("starting unshare")?;
    let leash = child.stdin.take();
    let status = child.wait()?;
    drop(leash);
    if env::var_os(KEEP).is_some() {
        keep(directory);
    }
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A bench in the directory `name` below `bench`.
pub fn below(bench: &Bench, name: &str) -> Result<Bench> {
    Ok(Bench::new(bench.make_dir(name)?))
}

/// The directory of this program, where the others that were built with it are.
pub fn binaries() -> Result<std::path::PathBuf> {
    let executable = env::current_exe()?;
    let parent = executable.parent().map(Path::to_path_buf);
    parent.context("this program is in no directory")
}

fn keep(directory: tempfile::TempDir) {
    let path = directory.keep();
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "kept: {}", path.display());
}

const INSIDE: &str = "TANDEM_LOAD_INSIDE";
const KEEP: &str = "TANDEM_LOAD_KEEP";
