//! Prosody 0.12 in the foreground, with a data directory of its own.
//!
//! Invariant: accounts are plain files written before the start, so that no tool has to run.

use std::process::Command;

use anyhow::Result;

use super::{Conflict, Detail, SECRET, Setup, password_of};
use crate::bench::Bench;
use crate::process::Process;
use crate::{coturn, program, template};

/// The block that attaches Tandem: what the README tells administrators to paste, with their two values.
pub fn component_snippet(gateway: &str) -> String {
    include_str!("../../../configs/attach/prosody.cfg.lua")
        .replace("sip.example.com", gateway)
        .replace("change-me", SECRET)
}

pub(super) fn start(bench: &Bench, setup: Setup<'_>, component: &str) -> Result<Process> {
    let data = bench.make_dir("prosody")?.display().to_string();
    let conflict = match setup.conflict {
        Conflict::KickNew => "",
        Conflict::KickOld => "  component_conflict_resolve = \"kick_old\"\n",
    };
    let more: String = setup
        .more_components
        .iter()
        .map(|domain| component_snippet(domain))
        .collect();
    let config = template::fill(
        include_str!("../../peers/prosody.cfg.lua"),
        &[
            ("DIR", &data),
            ("ARCHIVE", if setup.forgetful { "" } else { "\"mam\", " }),
            ("TURN_SECRET", coturn::SECRET),
            ("COMPONENT", &format!("{component}{conflict}{more}")),
            (
                "LOG_LEVEL",
                match setup.detail {
                    Detail::Usual => "info",
                    Detail::Everything => "debug",
                },
            ),
        ],
    )?;
    let config = bench.write("prosody/prosody.cfg.lua", &config)?;
    for user in setup.accounts {
        let account = format!("return {{ [\"password\"] = \"{}\" }}", password_of(user));
        bench.write(&format!("prosody/localhost/accounts/{user}.dat"), &account)?;
    }
    let mut command = Command::new(program::find("prosody", "prosody")?);
    command.arg("--config").arg(config).arg("-F");
    Process::start(bench, "prosody", command)
}
