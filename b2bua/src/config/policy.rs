//! `[policy]`: which numbers users may reach, and how much of it.

use serde::{Deserialize, Serialize};
use tandem_shared::address::Mapping;
use tandem_shared::config::ConfigError;

use super::NumberingSection;
use super::numbering::no_device;
use crate::policy::{Allowance, Policy};

/// `[policy]`: which numbers users may reach, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// Numbers that may be reached beside those of the own country, by what they begin with.
    pub allow: Vec<String>,
    /// Numbers that may not.
    pub deny: Vec<String>,
    /// Whether an admin has to approve of each user who reaches numbers abroad.
    pub approve_abroad: bool,
    /// The JIDs of those who are asked.
    pub admins: Vec<String>,
    /// Messages a minute, of one user; 0 for no bound, here and below.
    pub user_messages_per_minute: u32,
    /// Calls begun a minute, of one user.
    pub user_calls_per_minute: u32,
    /// Calls at once, of one user.
    pub user_calls: u32,
    /// Minutes of calls a day, of one user.
    pub user_minutes_per_day: u32,
    /// Messages a minute, of all users.
    pub messages_per_minute: u32,
    /// Calls begun a minute, of all users.
    pub calls_per_minute: u32,
    /// Minutes of calls a day, of all users.
    pub minutes_per_day: u32,
}

impl Default for PolicySection {
    fn default() -> Self {
        let usual = Allowance::default();
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            approve_abroad: false,
            admins: Vec::new(),
            user_messages_per_minute: usual.user_messages,
            user_calls_per_minute: usual.user_calls,
            user_calls: usual.user_lines,
            user_minutes_per_day: usual.user_minutes,
            messages_per_minute: usual.all_messages,
            calls_per_minute: usual.all_calls,
            minutes_per_day: usual.all_minutes,
        }
    }
}

impl PolicySection {
    pub(super) fn check(&self, mapping: &Mapping) -> Result<(), ConfigError> {
        if let Some(admin) = self
            .admins
            .iter()
            .find(|it| mapping.user_from_text(it).is_none())
        {
            return Err(ConfigError(format!(
                "policy.admins: {admin:?} is no user of {}",
                mapping.user_domains.join(", ")
            )));
        }
        if self.approve_abroad && self.admins.is_empty() {
            return Err(ConfigError(
                "policy.approve_abroad: somebody has to be asked; name the JIDs in policy.admins"
                    .to_owned(),
            ));
        }
        self.admins
            .iter()
            .try_for_each(|admin| no_device("policy.admins", admin))?;
        if !self.approve_abroad && !self.admins.is_empty() {
            return Err(ConfigError(
                "policy.admins: says nothing without approve_abroad = true".to_owned(),
            ));
        }
        for (key, list) in [("allow", &self.allow), ("deny", &self.deny)] {
            for text in list {
                let begin = text.strip_suffix('*').unwrap_or(text);
                let known = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'*' | b'#');
                if begin.is_empty() && text.is_empty() || !begin.bytes().all(known) {
                    return Err(ConfigError(format!(
                        "policy.{key}: {text:?} is no beginning of numbers; write \"+44*\""
                    )));
                }
                // With a star it is meant; without one, somebody has left out the plus.
                if text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(ConfigError(format!(
                        "policy.{key}: {text:?} is a beginning of local numbers; for a country write \
                        \"+44*\", for local numbers \"{text}*\""
                    )));
                }
            }
        }
        Ok(())
    }

    pub(super) fn policy(&self, numbering: &NumberingSection, mapping: &Mapping) -> Policy {
        let country = Some(numbering.country.as_str()).filter(|code| !code.is_empty());
        let allowance = Allowance {
            user_messages: self.user_messages_per_minute,
            user_calls: self.user_calls_per_minute,
            user_lines: self.user_calls,
            user_minutes: self.user_minutes_per_day,
            all_messages: self.messages_per_minute,
            all_calls: self.calls_per_minute,
            all_minutes: self.minutes_per_day,
        };
        let admins = self.admins.iter();
        let admins = admins.filter_map(|text| mapping.user_from_text(text));
        let admins = admins.map(|admin| admin.account()).collect();
        Policy::new(country, &self.allow, &self.deny)
            .with_allowance(allowance)
            .with_approval(self.approve_abroad, admins)
    }
}
