//! What `check` sees of the files and directories a configuration names, and of what is of no use.
//!
//! No socket is opened. What the start would stumble over is a fault; a directory that is not there yet
//! is none, for the service manager makes those of the units.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use tandem_shared::address::Mapping;
use tandem_shared::bus::url::Url;
use tandem_shared::config::{ConfigError, Fault, Findings};

use super::{Config, TrunkRow, trunk};
use crate::sip::Transport;

/// Looks at all of it.
pub(super) fn examine(config: &Config) -> Result<Findings, Fault> {
    certificates(config)?;
    let mut found = Findings::default();
    let Url::Local(bus) = &config.bus.url;
    let admin = config.admin_socket();
    socket("admin.socket", &admin)?;
    for (key, path) in [("bus.url", bus), ("admin.socket", &admin)] {
        replaces(key, path)?;
    }
    for (key, path) in [
        ("store.path", &config.store.path),
        ("bus.url", bus),
        ("admin.socket", &admin),
    ] {
        let missing = place(key, path)?;
        match path.parent().is_some_and(is_made) {
            true => found.made.extend(missing),
            false => found.missing.extend(missing),
        }
    }
    found.warnings.extend(domain(&config.mapping));
    for row in &config.trunk {
        if is_useless(row) && config.emergency.trunk.as_ref() != Some(&row.name) {
            let text = format!(
                "trunk {:?}: is of no use: nothing leads to it without match, and nobody comes in by it \
                without inbound, register, inbound_auth or peer_name",
                row.name
            );
            found.warnings.push(row.origin.fault(ConfigError(text)));
        }
    }
    Ok(found)
}

/// Whether the gateway was given the domain of the users: whose users it serves then is the world's.
fn domain(mapping: &Mapping) -> Option<Fault> {
    let served = mapping.user_domains.as_slice();
    let [top] = served else {
        return None;
    };
    let is_top = !top.contains('.') && top != "localhost";
    let own = &mapping.domain;
    (is_top && own.ends_with(&format!(".{top}"))).then(|| {
        let text = format!(
            "mapping.domain: the users of {top:?} would be served; the gateway has a domain of its own beside \
            that of its users, as \"sip.{own}\""
        );
        ConfigError(text).into()
    })
}

/// Reads what TLS needs, as the start will.
fn certificates(config: &Config) -> Result<(), Fault> {
    let words = |of: &str, error: &anyhow::Error| ConfigError(format!("{of}: {error:#}"));
    for row in &config.listen {
        if Transport::from(row.transport).is_secure() {
            let done = row.listener().check();
            done.map_err(|error| row.origin.fault(words("listen", &error)))?;
        }
    }
    let usual = trunk::usual_dial(&config.sip);
    usual
        .check()
        .map_err(|error| words("sip.authorities", &error))?;
    for row in &config.trunk {
        let dial = row.dial(&config.sip);
        if dial != usual {
            let name = format!("trunk {:?}", row.name);
            let done = dial.check();
            done.map_err(|error| row.origin.fault(words(&name, &error)))?;
        }
    }
    Ok(())
}

/// Whether a file can be at `path`; what is missing for it.
fn place(key: &str, path: &Path) -> Result<Option<Fault>, ConfigError> {
    let shown = path.display();
    if path.is_dir() {
        return Err(ConfigError(format!(
            "{key}: {shown} is a directory; name a file in it"
        )));
    }
    let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(None);
    };
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(None),
        Ok(_) => Err(ConfigError(format!("{key}: {shown} is no directory"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = format!(
                "{key}: there is no directory {shown}; the systemd unit makes {MADE}, any other has to be made \
                for the gateway's user",
                MADE = MADE.join(" and ")
            );
            Ok(Some(ConfigError(text).into()))
        }
        Err(error) => Err(ConfigError(format!("{key}: {shown}: {error}"))),
    }
}

/// Whether a socket at `path` would take the place of something else, as of a database.
fn replaces(key: &str, path: &Path) -> Result<(), ConfigError> {
    let found = std::fs::symlink_metadata(path).ok();
    match found.filter(|it| !it.file_type().is_socket() && !it.is_dir()) {
        Some(_) => Err(ConfigError(format!(
            "{key}: {} is there and is no socket; name another path",
            path.display()
        ))),
        None => Ok(()),
    }
}

/// Whether the systemd unit makes this directory.
fn is_made(directory: &Path) -> bool {
    MADE.iter().any(|made| Path::new(made) == directory)
}

/// Whether a socket can have this path.
fn socket(key: &str, path: &Path) -> Result<(), ConfigError> {
    let longest = path.with_extension("new.4194304");
    match longest.as_os_str().len() <= SOCKET_PATH {
        true => Ok(()),
        false => Err(ConfigError(format!(
            "{key}: {} is too long for a socket; name a path of at most {} bytes",
            path.display(),
            SOCKET_PATH - 10
        ))),
    }
}

/// Whether nothing goes or comes by a trunk.
fn is_useless(row: &TrunkRow) -> bool {
    let leads = !row.patterns.0.is_empty();
    let named = !row.inbound.0.is_empty() || row.peer_name.is_some();
    !leads && !named && !row.register && !row.inbound_auth
}

/// What configs/tandem-b2bua.service makes: RuntimeDirectory and StateDirectory.
const MADE: [&str; 2] = ["/run/tandem", "/var/lib/tandem"];
/// The longest path of a Unix socket, in bytes (unix(7)).
const SOCKET_PATH: usize = 107;

#[cfg(test)]
mod tests;
