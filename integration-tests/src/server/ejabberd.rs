//! ejabberd 23 in a bare Erlang machine: no `ejabberdctl`, no `epmd`, no distribution.
//!
//! Invariant: nothing is read from `/etc/ejabberd`, which only its own user may read.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::{Conflict, Detail, SECRET, Server, Setup, password_of};
use crate::bench::Bench;
use crate::process::Process;
use crate::{coturn, program, template};

/// Where its HTTP interface listens.
pub const HTTP: &str = "127.0.0.1:5280";

/// The listener that attaches Tandem: what the README tells administrators to paste, with their two values.
/// Without `global_routes: false` every component connection would get the stanzas of every component.
pub fn component_snippet(gateway: &str) -> String {
    include_str!("../../../configs/attach/ejabberd.yml")
        .replace("sip.example.com", gateway)
        .replace("change-me", SECRET)
}

pub(super) fn start(bench: &Bench, setup: Setup<'_>, component: &str) -> Result<Process> {
    ensure!(
        setup.conflict == Conflict::KickNew,
        "only Prosody has a choice of conflict behaviour"
    );
    // More hosts of the same listener, which is the last line of the snippet.
    let more: String = setup
        .more_components
        .iter()
        .map(|domain| format!("      \"{domain}\":\n        password: \"{SECRET}\"\n"))
        .collect();
    let config = template::fill(
        include_str!("../../peers/ejabberd.yml"),
        &[
            ("COMPONENT", &format!("{component}{more}")),
            ("TURN_SECRET", coturn::SECRET),
            (
                "LOG_LEVEL",
                match setup.detail {
                    Detail::Usual => "info",
                    Detail::Everything => "debug",
                },
            ),
        ],
    )?;
    let spool = bench.make_dir("ejabberd/spool")?;
    let mut command = Command::new(program::find("erl", "ejabberd")?);
    command
        .args(["-noinput", "+S", "2:2", "+sbwt", "none", "-mnesia", "dir"])
        .arg(format!("\"{}\"", spool.display()))
        .args(["-s", "ejabberd"])
        .current_dir(&spool)
        .env("HOME", bench.make_dir("ejabberd/home")?)
        .env(
            "EJABBERD_CONFIG_PATH",
            bench.write("ejabberd/ejabberd.yml", &config)?,
        )
        .env("EJABBERD_LOG_PATH", bench.path("ejabberd-node.log"))
        .env("EJABBERD_PID_PATH", bench.path("ejabberd/pid"))
        .env(
            "ERL_INETRC",
            bench.write("ejabberd/inetrc", "{lookup,[\"file\",\"native\"]}.\n")?,
        )
        .env("ERL_CRASH_DUMP", "/dev/null")
        .env("CONTRIB_MODULES_PATH", bench.path("ejabberd/none"))
        .env("ERL_LIBS", find_libraries()?);
    Process::start(bench, "ejabberd", command)
}

/// The directory that holds `ejabberd-<version>`; its name is that of the machine's architecture.
fn find_libraries() -> Result<PathBuf> {
    for architecture in fs::read_dir("/usr/lib")? {
        let directory = architecture?.path();
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        if entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("ejabberd-"))
        {
            return Ok(directory);
        }
    }
    bail!(
        "ejabberd is not installed: run `.ci/deps test`, or `sudo apt-get install --no-install-recommends ejabberd`"
    )
}

/// Makes the accounts through the HTTP interface, as far as they are not there.
pub(super) fn register(accounts: &[String]) -> Result<()> {
    for user in accounts {
        let account = json!({ "user": user, "host": Server::Ejabberd.domain(), "password": password_of(user) });
        let answer = post("/api/register", &account.to_string())?;
        let status = answer
            .lines()
            .next()
            .context("no answer from the HTTP interface")?;
        let exists = status.contains(" 409 ");
        ensure!(
            exists || status.contains(" 200 "),
            "registering {user}: {answer}"
        );
    }
    Ok(())
}

fn post(path: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(HTTP)?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
