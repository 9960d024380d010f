//! `[message]` and `[emergency]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_shared::bounds::{MANY, within};
use tandem_shared::config::{ConfigError, Fault};

use super::TrunkRow;
use crate::emergency::Emergency;
use crate::settings::MessageSettings;

/// `[message]`: how messages are treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageSection {
    /// Seconds a message that was surely not delivered is tried again.
    pub retry_for: u64,
    /// Seconds the XMPP side may take to confirm a message from SIP.
    pub confirm_for: u64,
    /// Most messages waiting for one destination.
    pub queue_per_destination: usize,
    /// Most messages waiting for SIP in all.
    pub queue_total: usize,
    /// Most messages from SIP waiting for their outcome.
    pub pending_max: usize,
    /// Most parts a message is cut into where a trunk says `split`.
    pub parts_max: usize,
}

impl Default for MessageSection {
    fn default() -> Self {
        let defaults = MessageSettings::default();
        Self {
            retry_for: defaults.retry_for.as_secs(),
            confirm_for: defaults.confirm_for.as_secs(),
            queue_per_destination: defaults.queue_per_destination,
            queue_total: defaults.queue_total,
            pending_max: defaults.pending,
            parts_max: defaults.parts,
        }
    }
}

impl MessageSection {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: &str| Err(ConfigError(format!("message.{text}")));
        match self {
            _ if self.retry_for > 24 * 3600 => wrong("retry_for: must be at most 86400 seconds"),
            _ if !(1..=30).contains(&self.confirm_for) => {
                wrong("confirm_for: must be from 1 to 30 seconds; senders give up after 32")
            }
            _ if !(2..=99).contains(&self.parts_max) => wrong("parts_max: must be from 2 to 99"),
            _ => {
                let counts = [
                    ("message.queue_per_destination", self.queue_per_destination),
                    ("message.queue_total", self.queue_total),
                    ("message.pending_max", self.pending_max),
                ];
                let mut counts = counts.into_iter();
                counts
                    .try_for_each(|(key, count)| within(key, count, 1..=MANY, ""))
                    .map_err(ConfigError)
            }
        }
    }

    pub(super) fn settings(&self) -> MessageSettings {
        MessageSettings {
            retry_for: Duration::from_secs(self.retry_for),
            confirm_for: Duration::from_secs(self.confirm_for),
            queue_per_destination: self.queue_per_destination,
            queue_total: self.queue_total,
            pending: self.pending_max,
            parts: self.parts_max,
        }
    }
}

/// `[emergency]`: what is carried only by the trunk that is named for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmergencySection {
    /// The numbers, as digits.
    pub numbers: Vec<String>,
    /// The trunk that calls to them go to after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
}

impl EmergencySection {
    pub(super) fn check(&self, trunks: &[TrunkRow]) -> Result<(), Fault> {
        let is_plain = |number: &String| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        if let Some(number) = self.numbers.iter().find(|number| !is_plain(number)) {
            let text = format!(
                "emergency.numbers: {number:?} is no number as people dial it; write digits alone, as \"112\": \
                other spellings of it are known"
            );
            return Err(ConfigError(text).into());
        }
        let Some(name) = &self.trunk else {
            return Ok(());
        };
        let Some(row) = trunks.iter().find(|row| row.name == *name) else {
            let text = format!("emergency.trunk: there is no trunk {name:?}");
            return Err(ConfigError(text).into());
        };
        // Such a number has no domain that could be asked instead.
        if row.next_hop.is_none() {
            let text = format!(
                "trunk {name:?}: emergency.trunk names it, so it needs next_hop: an emergency number leads nowhere by itself"
            );
            return Err(row.origin.fault(ConfigError(text)));
        }
        Ok(())
    }
}

impl Default for EmergencySection {
    fn default() -> Self {
        Self {
            numbers: Emergency::DEFAULT.map(str::to_owned).to_vec(),
            trunk: None,
        }
    }
}
