//! The Privacy header field: what of a caller is to be kept from whom it reaches (RFC 3323 §4.2; RFC 3325 §9.3;
//! RFC 7044 §10.1.1).

use super::{Headers, Name};
use crate::sip::grammar;

/// What a request asks to be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Who it is from: `id`, `user` or `header`.
    pub caller: bool,
    /// By whom it came: `history` or `header`.
    pub history: bool,
}

impl Privacy {
    /// What these header fields ask for.
    #[must_use]
    pub fn of(headers: &Headers) -> Self {
        let mut asked = Self::default();
        for level in levels(headers) {
            let is = |name: &str| level.eq_ignore_ascii_case(name);
            asked.caller |= is("id") || is("user") || is("header");
            asked.history |= is("history") || is("header");
        }
        asked
    }
}

/// The levels nobody here can provide, where the request is not to go on without them; empty where all is
/// well. A level that is no token is told of as `unknown`.
pub fn unmet(headers: &Headers) -> Vec<&str> {
    let is_critical = levels(headers).any(|level| level.eq_ignore_ascii_case("critical"));
    if !is_critical {
        return Vec::new();
    }
    let unknown = levels(headers).filter(|level| {
        let is_known = PROVIDED.iter().any(|it| level.eq_ignore_ascii_case(it));
        !is_known && !level.is_empty()
    });
    let named = unknown.map(
        |level| match level.len() <= LONGEST && grammar::is_token(level) {
            true => level,
            false => "unknown",
        },
    );
    named.take(MOST).collect()
}

/// Peers write the field twice, or commas for semicolons.
fn levels(headers: &Headers) -> impl Iterator<Item = &str> {
    let all = headers.all(Name::Privacy);
    all.flat_map(|value| value.split([';', ',']).map(grammar::trim))
}

/// What a gateway provides, for nothing of a caller crosses it but a JID and a name: `session` since media
/// is anchored here.
const PROVIDED: [&str; 7] = [
    "id", "user", "header", "session", "history", "none", "critical",
];
/// The longest name of a level that is told back, in bytes.
const LONGEST: usize = 32;
/// How many are.
const MOST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> Headers {
        let mut headers = Headers::new();
        for value in values {
            headers.push(Name::Privacy, value);
        }
        headers
    }

    #[test]
    fn levels_are_read_however_they_are_written() {
        let of = |values: &[&str]| {
            let asked = Privacy::of(&headers(values));
            (asked.caller, asked.history)
        };
        assert_eq!(of(&[]), (false, false));
        for nothing in ["none", "session", "critical", "idle", ""] {
            assert_eq!(of(&[nothing]), (false, false), "{nothing}");
        }
        assert_eq!(of(&["id"]), (true, false));
        assert_eq!(of(&["session ; User;critical"]), (true, false));
        assert_eq!(of(&["none", "id"]), (true, false));
        assert_eq!(of(&["session, ID"]), (true, false));
        assert_eq!(of(&["header"]), (true, true));
        assert_eq!(of(&["history"]), (false, true));
    }

    #[test]
    fn only_what_is_critical_and_cannot_be_had_is_missed() {
        let missed = |values: &[&str]| unmet(&headers(values)).join(" ");
        for had in [
            "id;critical",
            "header;session;user;history;critical",
            "critical",
            "none;critical",
            "stealth;invisible",
            ";;critical;",
        ] {
            assert_eq!(missed(&[had]), "", "{had}");
        }
        assert_eq!(missed(&["id;stealth;critical"]), "stealth");
        assert_eq!(missed(&["stealth", "CRITICAL"]), "stealth");
        assert_eq!(missed(&["critical;\"x\";y z"]), "unknown unknown");
        let many = format!("critical{}", ";x".repeat(1000));
        assert_eq!(missed(&[&many]), "x x x x");
        let long = format!("critical;{}", "x".repeat(33));
        assert_eq!(missed(&[&long]), "unknown");
    }
}
