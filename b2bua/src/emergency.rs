//! Emergency numbers, which are carried only by a trunk that is named for them (RFC 3966 §5.1.5; RFC 5031;
//! specs 10.8).
//!
//! A gateway knows no location and promises no delivery, so it says so in clear words instead of
//! sending such a message anywhere. Every spelling counts that some network would understand: with a
//! plus, behind an outside-line digit or a national prefix, with separators.

use tandem_shared::address::number;
use tandem_shared::refusal::{Reason, Refusal};

/// The numbers that reach emergency services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    numbers: Vec<String>,
    trunk: Option<String>,
}

impl Emergency {
    /// The numbers checked for unless the configuration names others.
    pub const DEFAULT: [&'static str; 7] = ["112", "911", "999", "000", "110", "118", "119"];

    /// Checks for these numbers, given as digits.
    #[must_use]
    pub fn new(numbers: impl IntoIterator<Item = String>) -> Self {
        Self {
            numbers: numbers.into_iter().collect(),
            trunk: None,
        }
    }

    /// The same, with a trunk that calls to them go to.
    #[must_use]
    pub fn with_trunk(mut self, name: Option<String>) -> Self {
        self.trunk = name;
        self
    }

    /// The name of the trunk that calls to them go to.
    #[must_use]
    pub fn trunk(&self) -> Option<&str> {
        self.trunk.as_deref()
    }

    /// Refuses when `user` is an emergency number in any spelling, or `sos`.
    ///
    /// # Errors
    /// The refusal a user reads.
    pub fn check(&self, user: &str) -> Result<(), Refusal> {
        match self.is_emergency(user) {
            true => Err(refusal()),
            false => Ok(()),
        }
    }

    /// Whether `user` is an emergency number in any spelling.
    #[must_use]
    pub fn is_emergency(&self, user: &str) -> bool {
        self.number(user).is_some()
    }

    /// The emergency number that `user` is a spelling of, as it is dialled; `sos` as it stands.
    #[must_use]
    pub fn number<'a>(&'a self, user: &'a str) -> Option<&'a str> {
        let user = user.split(';').next().unwrap_or_default();
        if user.eq_ignore_ascii_case("sos")
            || user
                .get(..4)
                .is_some_and(|start| start.eq_ignore_ascii_case("sos."))
        {
            return Some(user);
        }
        // Every other name is no number, and longer than any prefix and any short number together.
        let first = user.chars().next().unwrap_or('x');
        if user.len() > MAX_LEN || first.is_ascii_alphabetic() {
            return None;
        }
        let number = number::parse(user)?;
        let digits = number.as_str();
        let known = self.numbers.iter().map(String::as_str);
        let spelled = known.filter(|emergency| {
            let prefix = digits.strip_suffix(emergency);
            prefix.is_some_and(|prefix| PREFIXES.contains(&prefix))
        });
        spelled.max_by_key(|emergency| emergency.len())
    }
}

impl Default for Emergency {
    fn default() -> Self {
        Self::new(Self::DEFAULT.map(str::to_owned))
    }
}

/// Whether the part of a URI after its scheme is a service URN for emergencies (RFC 5031 §4).
#[must_use]
pub fn is_urn(scheme: &str, rest: &str) -> bool {
    const NAME: &str = "service:sos";
    scheme == "urn"
        && rest
            .get(..NAME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(NAME))
        && matches!(rest.as_bytes().get(NAME.len()), None | Some(b'.'))
}

/// What whoever dials one reads.
#[must_use]
pub fn refusal() -> Refusal {
    Refusal::new(Reason::Emergency)
        .with_text("Emergency services cannot be reached here. Use a telephone.")
}

/// What may stand before the number: nothing, a plus, outside-line digits, the trunk prefix, or a
/// plus and the country code of a dialling plan that adds one to everything.
const PREFIXES: [&str; 9] = ["", "+", "0", "9", "00", "+1", "+44", "+49", "+61"];
/// Prefix and number with separators.
const MAX_LEN: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_caught() {
        let emergency = Emergency::default();
        for user in [
            "112",
            "911",
            "+911",
            "+1911",
            "9911",
            "0112",
            "00112",
            "1-1-2",
            "(911)",
            "911;phone-context=+1",
            "sos",
            "SOS.fire",
            "１１２",
        ] {
            let refusal = emergency.check(user).unwrap_err();
            assert_eq!(refusal.reason, Reason::Emergency, "{user}");
        }
    }

    #[test]
    fn ordinary_numbers_and_names_pass() {
        let emergency = Emergency::default();
        for user in [
            "+15559110911",
            "1120",
            "+4911234567",
            "sosumi",
            "juliet",
            "911th",
            "*112",
            "",
        ] {
            assert!(!emergency.is_emergency(user), "{user}");
        }
    }

    #[test]
    fn the_list_can_be_another() {
        let emergency = Emergency::new(["15".to_owned()]);
        assert!(emergency.is_emergency("15") && !emergency.is_emergency("112"));
    }

    #[test]
    fn a_spelling_stands_for_the_number_itself() {
        let emergency = Emergency::new(["00", "000", "112"].map(str::to_owned));
        for (user, number) in [
            ("112", Some("112")),
            ("1-1-2", Some("112")),
            ("+1112", Some("112")),
            ("9112", Some("112")),
            ("112;phone-context=+1", Some("112")),
            ("000", Some("000")),
            ("0000", Some("000")),
            ("sos.fire", Some("sos.fire")),
            ("113", None),
        ] {
            assert_eq!(emergency.number(user), number, "{user}");
        }
    }

    #[test]
    fn service_urns_are_known() {
        assert!(is_urn("urn", "service:sos") && is_urn("urn", "service:SOS.police"));
        assert!(!is_urn("urn", "service:sosumi") && !is_urn("urn", "service:counseling"));
        assert!(!is_urn("http", "service:sos"));
    }
}
