//! What of a `[[trunk]]` lets it in from anywhere: a password of its own or the one we have there.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tandem_shared::config::{ConfigError, Fault};

use super::listen::HostName;
use super::{ListenRow, SipSection, TrunkRow, optional_secret};
use crate::sip::digest::{Algorithm, Credential};
use crate::sip::uri::Host;

/// How a password is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigestName {
    /// SHA-256.
    #[serde(rename = "sha-256")]
    Sha256,
    /// MD5, which old phones and PBXs know alone.
    #[serde(rename = "md5")]
    Md5,
}

impl From<DigestName> for Algorithm {
    fn from(name: DigestName) -> Self {
        match name {
            DigestName::Sha256 => Self::Sha256,
            DigestName::Md5 => Self::Md5,
        }
    }
}

/// Checks that it can be told whose a request is.
pub(super) fn check(
    trunks: &[TrunkRow],
    sip: &SipSection,
    listen: &[ListenRow],
) -> Result<(), Fault> {
    if sip.digests.is_empty() {
        let text = "sip.digests: must name \"sha-256\", \"md5\" or both";
        return Err(ConfigError(text.to_owned()).into());
    }
    let asks = listen.iter().any(|row| row.client_authorities.is_some());
    for row in trunks.iter().filter(|_| !asks) {
        if row.peer_name.is_some() {
            return Err(row.origin.fault(ConfigError(format!(
                "trunk {:?}: peer_name: no [[listen]] has client_authorities to check it by",
                row.name
            ))));
        }
    }
    once("inbound_username", trunks, |row| {
        row.inbound_name().map(str::to_owned)
    })?;
    once("peer_name", trunks, |row| {
        let name = String::from(row.peer_name.clone()?);
        Some(name.to_ascii_lowercase())
    })
}

/// Checks that no two trunks have the same.
fn once(
    key: &str,
    trunks: &[TrunkRow],
    of: impl Fn(&TrunkRow) -> Option<String>,
) -> Result<(), Fault> {
    let mut seen: HashMap<String, &TrunkRow> = HashMap::new();
    for row in trunks {
        let Some(text) = of(row) else {
            continue;
        };
        if let Some(other) = seen.insert(text.clone(), row) {
            let error = ConfigError(format!(
                "trunk {:?}: {key}: {text:?} is of two trunks, so that it would tell neither; the other is {:?}",
                row.name, other.name
            ));
            return Err(row.origin.fault(error));
        }
    }
    Ok(())
}

impl TrunkRow {
    /// Reads the secret and checks what belongs together; the account of our own is there already.
    pub(super) fn finish_guest(&mut self) -> Result<(), ConfigError> {
        let name = &self.name;
        let wrong = |text: &str| Err(ConfigError(format!("trunk {name:?}: {text}")));
        let password = optional_secret(
            "trunk.inbound_password",
            &self.inbound_password,
            self.inbound_password_file.as_deref(),
        )?;
        let has_name = !self.inbound_username.is_empty();
        if password.is_some() != has_name {
            return wrong(
                "inbound_username and inbound_password (or inbound_password_file) belong together",
            );
        }
        if has_name && !self.inbound_auth {
            return wrong("inbound_username: says nothing without inbound_auth = true");
        }
        if self.inbound_auth && !has_name && self.username.is_empty() {
            return wrong("inbound_auth: needs inbound_username and inbound_password, or username");
        }
        if matches!(&self.peer_name, Some(HostName(Host::Ip(_)))) {
            return wrong("peer_name: must be a name, for certificates are of names");
        }
        // Two halves, or a dozen parts, are the whole as well.
        if let Some((text, _)) = self.inbound.0.iter().find(|(_, range)| range.is_vast()) {
            return Err(ConfigError(format!(
                "trunk {name:?}: inbound: {text:?} lets in the whole Internet, or much of it; name the \
                provider's ranges, or use inbound_auth or peer_name"
            )));
        }
        self.inbound_password = password.unwrap_or_default();
        self.inbound_password_file = None;
        Ok(())
    }

    /// The name it has to show when it comes in.
    fn inbound_name(&self) -> Option<&str> {
        let own = [&self.inbound_username, &self.username];
        let name = own.into_iter().find(|name| !name.is_empty());
        name.filter(|_| self.inbound_auth).map(String::as_str)
    }

    /// The same with its password.
    pub(super) fn inbound_account(&self) -> Option<Credential> {
        let password = match self.inbound_username.is_empty() {
            true => &self.password,
            false => &self.inbound_password,
        };
        Some(Credential {
            user: self.inbound_name()?.into(),
            password: password.reveal().into(),
            realm: None,
        })
    }
}
