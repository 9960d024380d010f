//! A network and a process tree of its own for every test.
//!
//! A test re-executes its binary for that one test below `unshare`: its own network (loopback, and a
//! veth pair with 10.77.0.1, because phones refuse to work on loopback alone), process and mount
//! namespaces. Default ports are free, tests run in parallel, and no traffic leaves the machine.
//!
//! Invariant: the test is the first process of its namespace, so the kernel ends everything it
//! started when it ends, however it ends.

use std::any::type_name;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::bench::{Bench, list_logs, tail};
use crate::{program, wait};

/// The address of the test's own interface that is not loopback.
pub const ADDRESS: &str = "10.77.0.1";

/// Its address of the other family, once a test has asked for it with [`add_ipv6`].
pub const ADDRESS_6: &str = "fd77::1";

const HOSTS: &str = "/etc/hosts";

/// How long a test may take before it is killed and counts as failed.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Runs `test` in namespaces of its own, at most for [`LIMIT`].
///
/// To be called with a closure written directly in the `#[test]` function, whose name is taken from it.
pub fn isolated<F: FnOnce(&Bench) -> Result<()>>(test: F) -> Result<()> {
    isolated_within(LIMIT, test)
}

/// As [`isolated`], with another limit.
pub fn isolated_within<F: FnOnce(&Bench) -> Result<()>>(limit: Duration, test: F) -> Result<()> {
    match env::var_os(INSIDE) {
        Some(directory) => run_inside(directory.into(), test),
        None => run_outside(test_name(type_name::<F>()), limit),
    }
}

/// Whether this process is already the one in the namespaces.
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// `suite::module::name::{{closure}}` without suite and closure, as libtest names the test.
fn test_name(closure: &str) -> &str {
    let path = closure.split_once("::").map_or(closure, |(_, path)| path);
    path.split_once("::{{closure}}")
        .map_or(path, |(name, _)| name)
}

fn run_inside(directory: PathBuf, test: impl FnOnce(&Bench) -> Result<()>) -> Result<()> {
    fs::write(directory.join(RAN), "")?;
    tie_to_leash();
    raise_network()?;
    test(&Bench::new(directory))
}

/// Ends this process, and with it the namespace, when the process that started it is gone.
pub(crate) fn tie_to_leash() {
    thread::spawn(|| {
        let mut byte = [0];
        if let Ok(0) | Err(_) = io::stdin().read(&mut byte) {
            std::process::exit(1);
        }
    });
}

/// Gives the test's own interface an IPv6 address beside the other.
pub fn add_ipv6() -> Result<()> {
    // Nobody else can have it, so nobody is asked.
    let command = format!("address add {ADDRESS_6}/64 dev v0 nodad");
    let ip = program::find("ip", "iproute2")?;
    run_ip(&ip, &command)
}

/// Lets names stand for these addresses, in the lines of `/etc/hosts`.
pub fn set_hosts(bench: &Bench, lines: &str) -> Result<()> {
    let usual = fs::read_to_string(HOSTS)?;
    let file = bench.write("hosts", &format!("{usual}{lines}"))?;
    let mount = program::find("mount", "mount")?;
    let output = Command::new(mount)
        .arg("--bind")
        .arg(file)
        .arg(HOSTS)
        .output()?;
    ensure!(
        output.status.success(),
        "mount: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Whether it has one.
pub fn has_ipv6() -> bool {
    let addresses = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    addresses.contains("fd77")
}

pub(crate) fn raise_network() -> Result<()> {
    let commands = [
        "link set lo up".to_owned(),
        "link add v0 type veth peer name v1".to_owned(),
        "link set v0 up".to_owned(),
        "link set v1 up".to_owned(),
        format!("address add {ADDRESS}/24 dev v0"),
    ];
    let ip = program::find("ip", "iproute2")?;
    commands.iter().try_for_each(|command| run_ip(&ip, command))
}

fn run_ip(ip: &Path, command: &str) -> Result<()> {
    let output = Command::new(ip).args(command.split(' ')).output()?;
    ensure!(
        output.status.success(),
        "ip {command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn run_outside(name: &str, limit: Duration) -> Result<()> {
    let unshare = unshare_arguments()?;
    let directory = tempfile::Builder::new().prefix("tandem-").tempdir()?;
    let output = File::create(directory.path().join("test.log"))?;
    let mut child = Command::new(program::find("unshare", "util-linux")?)
        .args(unshare)
        .arg(env::current_exe()?)
        .args([
            name,
            "--exact",
            "--nocapture",
            "--include-ignored",
            "--test-threads=1",
        ])
        .env(INSIDE, directory.path())
        .env("TMPDIR", directory.path())
        // A failed test tells its reason; where anyhow made it says nothing more.
        .env("RUST_LIB_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .context("starting unshare")?;
    // The pipe stays open as long as this process lives: it is the leash.
    let leash = child.stdin.take();
    let ended = await_exit(&mut child, limit);
    drop(leash);

    let ran = directory.path().join(RAN).exists();
    match ended? {
        Some(status) if status.success() && ran => Ok(()),
        Some(status) if status.success() => {
            bail!("no test is named {name:?}: write the closure directly in the #[test] function")
        }
        Some(status) => bail!(
            "{name} failed ({status})\n{}",
            report(name, directory.path())?
        ),
        None => {
            bail!(
                "{name} passed its time limit of {} s\n{}",
                limit.as_secs(),
                report(name, directory.path())?
            )
        }
    }
}

/// The exit status, or `None` when the limit passed and the test was killed.
fn await_exit(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let ended = wait::until("the test", limit, || Ok(child.try_wait()?));
    if ended.is_err() {
        killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL)?;
        child.wait()?;
    }
    Ok(ended.ok())
}

/// Arguments of `unshare`: as root where allowed, else with a user namespace.
pub(crate) fn unshare_arguments() -> Result<&'static [&'static str]> {
    static CHOICE: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    let unshare = program::find("unshare", "util-linux")?;
    let choice = CHOICE.get_or_init(|| {
        [AS_ROOT, AS_USER].into_iter().find(|arguments| {
            let probe = Command::new(&unshare)
                .args(*arguments)
                .arg("true")
                .stderr(Stdio::null())
                .status();
            probe.is_ok_and(|status| status.success())
        })
    });
    choice.context(
        "this kernel gives no namespaces: run as root, or allow them with \
         `sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0`",
    )
}

/// What the test printed and the ends of all logs, and where the whole logs are kept.
fn report(name: &str, directory: &Path) -> Result<String> {
    let mut text = String::new();
    for log in list_logs(directory)? {
        let file = log.file_name().unwrap_or_default().to_string_lossy();
        let content = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let lines = if file == "test.log" { 200 } else { 40 };
        text.push_str(&format!("---- {file}\n{}\n", tail(&content, lines)));
    }
    // Another user than the one who built may run the tests, and cannot write there.
    let kept = match keep_logs(name, directory) {
        Ok(kept) => format!("---- all logs: {}", kept.display()),
        Err(error) => format!("---- the logs are not kept: {error:#}"),
    };
    Ok(text + &kept)
}

/// Copies the logs beside the binaries, in the place of those of the last failure.
fn keep_logs(name: &str, directory: &Path) -> Result<PathBuf> {
    let executable = env::current_exe()?;
    let build = executable
        .ancestors()
        .nth(2)
        .context("no build directory")?;
    let kept = build.join("test-logs").join(name.replace("::", "."));
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir_all(&kept)?;
    for log in list_logs(directory)? {
        fs::copy(&log, kept.join(log.file_name().unwrap_or_default()))?;
    }
    Ok(kept)
}

const INSIDE: &str = "TANDEM_TEST_INSIDE";
/// Written by the test itself: libtest also succeeds when no test has the name.
const RAN: &str = "ran";
const AS_ROOT: &[&str] = &["--net", "--pid", "--fork", "--mount-proc", "--kill-child"];
const AS_USER: &[&str] = &[
    "--user",
    "--map-root-user",
    "--net",
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_test_by_its_closure() {
        assert_eq!(test_name("bench_itself::talks::{{closure}}"), "talks");
        assert_eq!(
            test_name("integration_tests::net::tests::x::{{closure}}"),
            "net::tests::x"
        );
    }
}
