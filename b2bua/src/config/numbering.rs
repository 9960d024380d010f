//! `[numbering]` and `[[number]]`: how users dial, and who has which number.

use jid::Jid;
use serde::{Deserialize, Serialize};
use tandem_shared::address::{Mapping, number};
use tandem_shared::config::{ConfigError, Origin};

use super::trunk::OneOrMany;
use crate::number::{Numbering, Owner, Plan, Row};

/// `[numbering]`: how users dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NumberingSection {
    /// The code of the country users dial as if they were in; only full numbers when empty.
    pub country: String,
    /// What stands before a number abroad; as people dial in that country when absent, as below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub international: Option<Vec<String>>,
    /// What stands before a number of the same country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub national: Option<String>,
    /// Numbers of so many digits with nothing before them are of the same country; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bare_digits: Option<usize>,
    /// What hides the caller when it stands before a number.
    pub hide: Vec<String>,
}

impl Default for NumberingSection {
    fn default() -> Self {
        Self {
            country: String::new(),
            international: None,
            national: None,
            bare_digits: None,
            hide: vec!["*67".to_owned(), "#31#".to_owned()],
        }
    }
}

/// `[[number]]`: a telephone number and the XMPP users it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberRow {
    /// Where it stands.
    #[serde(skip)]
    pub origin: Origin,
    /// The number: `+15551234567`, or a local one; `+1555*` for a block.
    pub number: String,
    /// The user, without a resource, or several; for a block also `*@example.com`, `x*@example.com`.
    pub jid: Users,
    /// Whether those who are called do not see it.
    #[serde(default)]
    pub hidden: bool,
    /// Whether its users are known by it to those who are called; when absent, only where it is one
    /// user's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<bool>,
    /// What its user dials before a number to be known by it, where it is one of several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub select: String,
    /// The code of the country the user dials as if there; that of `[numbering]` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// One user, or several who share a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OneOrMany", into = "Vec<String>")]
pub struct Users(Vec<String>);

impl TryFrom<OneOrMany> for Users {
    type Error = String;

    fn try_from(texts: OneOrMany) -> Result<Self, String> {
        let users = texts.into_texts();
        match users.len() {
            0 => Err("number.jid: names nobody".to_owned()),
            // Each of them costs what one user does.
            len if len > SHARED_MAX => Err(format!(
                "number.jid: at most {SHARED_MAX} users share a number"
            )),
            _ => Ok(Self(users)),
        }
    }
}

impl From<Users> for Vec<String> {
    fn from(users: Users) -> Self {
        users.0
    }
}

/// Most users of one number.
const SHARED_MAX: usize = 16;

impl NumberingSection {
    /// Says what follows from the country, and checks what can be wrong.
    pub(super) fn finish(&mut self) -> Result<(), ConfigError> {
        let usual = Plan::in_country(&self.country);
        self.international.get_or_insert(usual.international);
        self.national.get_or_insert(usual.national);
        self.bare_digits.get_or_insert(usual.bare);
        self.check()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let wrong = |text: &str| Err(ConfigError(format!("numbering.{text}")));
        match self {
            _ if !self.country.is_empty() && !is_country(&self.country) => wrong(NO_COUNTRY),
            _ if !self.international.iter().flatten().all(|text| digits(text)) => {
                wrong("international: must be digits, as [\"00\"]")
            }
            _ if !self.national.as_deref().is_none_or(digits) => {
                wrong("national: must be digits, as \"0\", or \"\" for nothing")
            }
            _ if self.bare_digits.is_some_and(|digits| digits > 15) => {
                wrong("bare_digits: must be from 0 to 15; no number has more (E.164)")
            }
            _ if self.hide.iter().any(|text| {
                text.is_empty()
                    || !text
                        .bytes()
                        .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#')
            }) =>
            {
                wrong("hide: must be digits, * and #")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn plan(&self) -> Plan {
        let usual = Plan::in_country(&self.country);
        let Self {
            international,
            national,
            bare_digits,
            ..
        } = self;
        Plan {
            country: usual.country,
            international: international.clone().unwrap_or(usual.international),
            national: national.clone().unwrap_or(usual.national),
            bare: bare_digits.unwrap_or(usual.bare),
        }
    }

    pub(super) fn numbering(&self) -> Numbering {
        Numbering {
            plan: self.plan(),
            hide: self.hide.clone(),
        }
    }
}

impl NumberRow {
    /// The rows it describes, one for each of its users.
    pub(super) fn rows(&self, mapping: &Mapping) -> Result<Vec<Row>, ConfigError> {
        let (text, block) = match self.number.strip_suffix('*') {
            Some(begin) => (begin, "*"),
            None => (self.number.as_str(), ""),
        };
        let number = number::parse(text).ok_or_else(|| {
            ConfigError(format!(
                "number.number: {:?} is no telephone number",
                self.number
            ))
        })?;
        let outgoing = self.outgoing.unwrap_or(self.jid.0.len() == 1);
        let keys = |b: u8| b.is_ascii_digit() || b == b'*' || b == b'#';
        if !self.select.bytes().all(keys) {
            return Err(ConfigError(format!(
                "number.select: {:?} must be digits, * and #, as \"*2*\"",
                self.select
            )));
        }
        if !self.select.is_empty() && (!outgoing || !block.is_empty()) {
            return Err(ConfigError(format!(
                "number.select: {:?} is for one number that its users call by (outgoing = true)",
                self.number
            )));
        }
        if !self.country.as_deref().is_none_or(is_country) {
            return Err(ConfigError(format!("number.{NO_COUNTRY}")));
        }
        let row = |jid: &String| {
            Ok(Row {
                number: format!("{}{block}", number.as_str()),
                owner: owner(jid, !block.is_empty(), mapping)?,
                hidden: self.hidden,
                outgoing,
                select: self.select.clone(),
                country: self.country.clone(),
            })
        };
        let rows: Vec<Row> = self.jid.0.iter().map(row).collect::<Result<_, _>>()?;
        for (at, row) in rows.iter().enumerate() {
            let mut before = rows.iter().take(at);
            if before.any(|other| other.owner == row.owner) {
                let jid = self.jid.0.get(at).map_or("", String::as_str);
                return Err(ConfigError(format!("number.jid: {jid} is there twice")));
            }
        }
        Ok(rows)
    }
}

/// Whether `code` is one of a country (E.164 §6.2.1); another one makes no number of what is dialled.
pub(super) fn is_country(code: &str) -> bool {
    let digits = code.bytes().all(|byte| byte.is_ascii_digit());
    digits && (1..=3).contains(&code.len()) && !code.starts_with('0')
}

/// What is said where it is none.
pub(super) const NO_COUNTRY: &str =
    "country: must be the code of a country without plus, as \"1\" or \"49\"";

/// Checks that `jid` is all of a user, not a device: no part of a JID before the resource has a slash.
pub(super) fn no_device(key: &str, jid: &str) -> Result<(), ConfigError> {
    match jid.split_once('/') {
        Some((user, _)) => Err(ConfigError(format!(
            "{key}: {jid:?} names a device; write {user:?}"
        ))),
        None => Ok(()),
    }
}

/// Whom `jid` means, in a row for a `block` of numbers or a single one.
fn owner(jid: &str, block: bool, mapping: &Mapping) -> Result<Owner, ConfigError> {
    let nobody = || {
        let domains = mapping.user_domains.join(", ");
        let first = mapping.user_domains.first().map_or("", String::as_str);
        ConfigError(format!(
            "number.jid: {jid:?} is no user of {domains}; write \"juliet@{first}\""
        ))
    };
    let find = |text: &str| {
        let user = Jid::new(text).ok();
        let user = user.and_then(|jid| mapping.user_from_jid(&jid).ok());
        user.filter(|user| mapping.serves(&user.host))
            .ok_or_else(nobody)
    };
    no_device("number.jid", jid)?;
    match jid.split_once("*@") {
        Some((before, host)) if block => {
            // Any name will do: it is the host that has to be ours.
            let user = find(&format!("{before}0@{host}"))?;
            let before = user.user.strip_suffix('0').unwrap_or_default().to_owned();
            let host = user.host;
            Ok(Owner::Rest { before, host })
        }
        Some(_) => Err(ConfigError(format!(
            "number.jid: {jid:?} needs a block, as number = \"+1555*\""
        ))),
        None => Ok(Owner::User(find(jid)?)),
    }
}
