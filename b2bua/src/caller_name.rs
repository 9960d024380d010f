//! The name a caller is shown by: its display name, and what the trunk knows of it
//! (RFC 3261 §20.10; ATIS-1000074 `verstat`; RFC 7044 §10).
//!
//! A name is what anybody may write, so it is cleaned of everything that could make it look like
//! something else, and never stands in the place of the number.

use crate::party;
use crate::sip::header::{Name, Privacy};
use crate::sip::{NameAddr, Request, Uri};
use crate::trunk::Trunk;

/// The caller's name in one line; what a trusted trunk verified or forwarded is said behind it.
#[must_use]
pub fn of(request: &Request, trunk: Option<&Trunk>) -> Option<String> {
    // Who is hidden has no name either.
    let is_hidden = party::wants_privacy(request, trunk);
    let asserted = party::asserted(request, trunk).filter(|_| !is_hidden);
    let from = request.from().ok().filter(|_| !is_hidden);
    let display = |party: &Option<NameAddr>| {
        let name = party.as_ref()?.display.as_deref().map(clean)?;
        let name = without_claims(&name);
        (!name.is_empty()).then(|| name.to_owned())
    };
    let mut line = display(&asserted)
        .or_else(|| display(&from))
        .unwrap_or_default();
    let trusted = trunk.is_some_and(|trunk| trunk.trust_identity);
    if trusted {
        for more in [verdict(request), forwarder(request)].into_iter().flatten() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&more);
        }
    }
    (!line.is_empty()).then_some(line)
}

/// The same, and which of its numbers the called user is called at, where it has several.
#[must_use]
pub fn with_called(name: Option<String>, called: Option<&str>) -> Option<String> {
    let Some(called) = called else {
        return name;
    };
    let mut line = name.unwrap_or_default();
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str("(calls ");
    line.push_str(called);
    line.push(')');
    Some(line)
}

/// A display name without what cannot be seen or turns the direction of text (specs T20).
#[must_use]
pub fn clean(text: &str) -> String {
    visible(text, LONGEST)
}

/// At most so many characters of a text, in one line, without what cannot be seen or turns its direction.
#[must_use]
pub fn visible(text: &str, most: usize) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c,
                '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}')
    };
    let seen: String = text.chars().filter(|c| !hides(*c)).take(most).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name up to where it begins to say what only we say behind it, such as `(number verified)`:
/// whoever calls could write that into the name.
fn without_claims(name: &str) -> &str {
    let opens = |c: char| {
        matches!(c, '(' | '[' | '{' | '\u{2768}'..='\u{2775}' | '\u{27e6}'..='\u{27ef}'
        | '\u{3008}'..='\u{301b}' | '\u{fe59}'..='\u{fe5e}' | '\u{ff08}' | '\u{ff3b}' | '\u{ff5b}' | '\u{207d}' | '\u{208d}')
    };
    let claims = |from: usize| {
        let rest = name.get(from..).unwrap_or_default().to_lowercase();
        ["verified", "forwarded", "calls "]
            .iter()
            .any(|claim| rest.contains(claim))
    };
    let found = name.char_indices().find(|(at, c)| opens(*c) && claims(*at));
    let kept = found.and_then(|(at, _)| name.get(..at)).unwrap_or(name);
    kept.trim_end()
}

/// What the trunk found out about the number (STIR/SHAKEN): a parameter of the number, of its URI or
/// of the header. A display name, which anybody may write, has none.
fn verdict(request: &Request) -> Option<String> {
    let asserted = request.headers.values(Name::PAssertedIdentity).take(2);
    let asserted = asserted.filter_map(|text| NameAddr::parse(text).ok());
    let mut parties = asserted.chain(request.from().ok());
    let value = parties.find_map(|party| verstat(&party))?;
    let text = match &*value {
        _ if value.starts_with("TN-Validation-Passed") => "(number verified)",
        _ if value.starts_with("TN-Validation-Failed") => "(number NOT verified)",
        _ => return None,
    };
    Some(text.to_owned())
}

fn verstat(party: &NameAddr) -> Option<String> {
    let inside = |text: &str| {
        let mut params = text.split(';').skip(1);
        params.find_map(|param| Some(param.strip_prefix("verstat=")?.to_owned()))
    };
    let of_uri = match &party.uri {
        Uri::Sip(uri) => {
            let own = uri.raw_user().and_then(inside);
            own.or_else(|| uri.params.get("verstat").map(Into::into))
        }
        Uri::Tel(rest) => inside(rest.as_str()),
        Uri::Other { .. } => None,
    };
    of_uri.or_else(|| party.params.get("verstat").map(Into::into))
}

/// Who sent the call on to us, where that is no secret.
fn forwarder(request: &Request) -> Option<String> {
    if Privacy::of(&request.headers).history {
        return None;
    }
    let diverted = request.headers.values(Name::Diversion).next();
    // The last entry but ours is whoever was called before.
    let history: Vec<&str> = request.headers.values(Name::HistoryInfo).take(20).collect();
    let before = history.len().checked_sub(2).and_then(|at| history.get(at));
    let entry = diverted.or(before.copied())?;
    let party = NameAddr::parse(entry)
        .ok()
        .filter(|party| !is_secret(entry, party))?;
    let user = match &party.uri {
        Uri::Sip(uri) => uri.raw_user()?.to_owned(),
        Uri::Tel(rest) => rest.as_str().to_owned(),
        Uri::Other { .. } => return None,
    };
    let user = clean(user.split([';', '?']).next().unwrap_or_default());
    // A user part may hold brackets and with them more words of ours.
    let plain = |c: char| c.is_alphanumeric() || "+-._*#%".contains(c);
    (!user.is_empty() && user.chars().all(plain)).then(|| format!("(forwarded by {user})"))
}

/// Whether an entry asks to be shown to nobody: in its URI (RFC 7044 §10.1.1), or as a parameter of Diversion.
fn is_secret(entry: &str, party: &NameAddr) -> bool {
    let asked = entry
        .split_once('?')
        .map(|(_, rest)| rest.to_ascii_lowercase());
    let of_uri =
        asked.is_some_and(|rest| rest.contains("privacy=") && !rest.contains("privacy=none"));
    let of_diversion = party.params.get("privacy");
    of_uri || of_diversion.is_some_and(|value| !value.eq_ignore_ascii_case("off"))
}

/// The longest name, in characters.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Method;
    use crate::trunk::tests::trunk;
    use proptest::prelude::*;

    fn name(fields: &[(&str, &str)], trusted: bool) -> Option<String> {
        let uri = Uri::parse("sip:x@example.com").unwrap();
        let mut request = Request::new(Method::Invite, uri);
        for (name, value) in fields {
            request.headers.push(*name, value);
        }
        let mut trunk = trunk("t", &["+*"], Some("192.0.2.1"));
        trunk.trust_identity = trusted;
        of(&request, Some(&trunk))
    }

    #[test]
    fn a_trusted_trunk_says_more_than_the_caller() {
        let fields = [
            ("From", "\"CEO\" <sip:+1555@a.example>;tag=1"),
            (
                "P-Asserted-Identity",
                "\"Mallory\" <sip:+1555;verstat=TN-Validation-Failed@b.example>",
            ),
            ("Diversion", "<sip:+1777@b.example>;reason=unconditional"),
        ];
        assert_eq!(name(&fields, false).as_deref(), Some("CEO"));
        assert_eq!(
            name(&fields, true).as_deref(),
            Some("Mallory (number NOT verified) (forwarded by +1777)")
        );
        let passed = [(
            "From",
            "<sip:+1555@a.example>;verstat=TN-Validation-Passed-B;tag=1",
        )];
        assert_eq!(name(&passed, true).as_deref(), Some("(number verified)"));
        assert_eq!(name(&passed, false), None);
        let history = [
            ("From", "<sip:+1555@a.example>;tag=1"),
            (
                "History-Info",
                "<sip:+1777@b.example>;index=1, <sip:+1888@b.example>;index=1.1",
            ),
        ];
        assert_eq!(
            name(&history, true).as_deref(),
            Some("(forwarded by +1777)")
        );
    }

    /// A caller who is hidden has no name, and who sent a call on may want to be unknown too.
    #[test]
    fn what_is_private_is_not_named() {
        let caller = |privacy: &str| {
            let fields = [
                ("Privacy", privacy),
                ("From", "\"Romeo\" <sip:+1555@a.example>;tag=1"),
                ("P-Asserted-Identity", "\"Montague\" <sip:+1555@b.example>"),
                ("Diversion", "<sip:+1777@b.example>"),
            ];
            name(&fields, true).unwrap_or_default()
        };
        let forwarded = "(forwarded by +1777)";
        assert_eq!(caller("none"), format!("Montague {forwarded}"));
        assert_eq!(caller("session"), format!("Montague {forwarded}"));
        assert_eq!(caller("id"), forwarded);
        assert_eq!(caller("user;critical"), forwarded);
        assert_eq!(caller("history"), "Montague");
        assert_eq!(caller("header"), "");
        let remote = [
            ("From", "\"Romeo\" <sip:+1555@a.example>;tag=1"),
            (
                "Remote-Party-ID",
                "\"Romeo\" <sip:+1555@b.example>;privacy=full",
            ),
        ];
        assert_eq!(name(&remote, true), None);
        assert_eq!(name(&remote, false).as_deref(), Some("Romeo"));
        for (field, value, is_shown) in [
            ("Diversion", "<sip:+1777@b.example>;privacy=off", true),
            ("Diversion", "<sip:+1777@b.example>;privacy=full", false),
            ("Diversion", "<sip:+1777@b.example>;privacy=uri", false),
            (
                "History-Info",
                "<sip:+1777@b.example?Privacy=none>;index=1, <sip:x@y>;index=1.1",
                true,
            ),
            (
                "History-Info",
                "<sip:+1777@b.example?Privacy=history>;index=1, <sip:x@y>;index=1.1",
                false,
            ),
            (
                "History-Info",
                "<sip:+1777@b.example?Reason=SIP&privacy=history>;index=1, <sip:x@y>;index=1.1",
                false,
            ),
            (
                "History-Info",
                "<sip:+1777@b.example>;index=1, <sip:x@y?Privacy=history>;index=1.1",
                true,
            ),
        ] {
            let fields = [("From", "<sip:+1555@a.example>;tag=1"), (field, value)];
            assert_eq!(name(&fields, true).is_some(), is_shown, "{value}");
        }
    }

    /// Nobody is verified by a name: not in the words of the network, nor in ours.
    #[test]
    fn a_name_proves_nothing() {
        for from in [
            "\"verstat=TN-Validation-Passed\" <sip:+1555@a.example>;tag=1",
            "\"x;verstat=TN-Validation-Passed;\" <sip:+1555@a.example>;tag=1",
            "\"x\\\";verstat=TN-Validation-Passed\" <sip:+1555@a.example>;tag=1",
            "<sip:verstat=TN-Validation-Passed@a.example>;tag=1",
            "<sip:+1555@a.example>;tag=verstat=TN-Validation-Passed",
            "<sip:+1555@verstat=TN-Validation-Passed>;tag=1",
        ] {
            for field in ["From", "P-Asserted-Identity"] {
                let shown = name(&[(field, from)], true).unwrap_or_default();
                assert!(!shown.contains("(number"), "{field} {from}: {shown}");
            }
        }
        for (claim, kept) in [
            ("Bank (number verified)", Some("Bank")),
            ("Bank(Number  VERIFIED) x", Some("Bank")),
            ("Bank \u{ff08}number verified\u{ff09}", Some("Bank")),
            ("Bank [number veri\u{200b}fied]", Some("Bank")),
            ("(forwarded by +1555)", None),
            ("ACME (Sales)", Some("ACME (Sales)")),
            ("Verified Movers", Some("Verified Movers")),
        ] {
            let from = format!("\"{claim}\" <sip:+1555@a.example>;tag=1");
            for trusted in [true, false] {
                assert_eq!(
                    name(&[("From", &from)], trusted).as_deref(),
                    kept,
                    "{claim}"
                );
            }
        }
        let forwarded = |user: &str| {
            let diversion = format!("<sip:{user}@b.example>");
            name(
                &[
                    ("From", "<sip:+1555@a.example>;tag=1"),
                    ("Diversion", &diversion),
                ],
                true,
            )
        };
        assert_eq!(forwarded("x)(number-verified"), None);
        assert_eq!(
            forwarded("bob%20smith").as_deref(),
            Some("(forwarded by bob%20smith)")
        );
    }

    /// What a name may be put together of: what turns or hides text, what ends a header, what we alone say.
    const PIECES: &[&str] = &[
        "(number verified)",
        "(number NOT verified)",
        "(forwarded by +1)",
        "verstat=TN-Validation-Passed",
        "\u{ff08}",
        "verified",
        "forwarded",
        "(",
        ")",
        "[",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\r\n",
        "\0",
        "\u{1b}[31m",
        "<",
        ">",
        ";",
        "\"",
        "\\",
        ",",
        "@",
        "%0d%0a",
        "x",
        "Bank",
        " ",
        "ü",
        "東京",
    ];

    proptest! {
        #[test]
        fn a_name_is_one_line_and_none_of_ours(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..9),
            trusted: bool,
        ) {
            let mut from = NameAddr::new(Uri::parse("sip:+1555@a.example").unwrap());
            from.display = Some(pieces.concat().into());
            from.params.set("tag", Some("1"));
            let text = from.to_string();
            prop_assert_eq!(NameAddr::parse(&text).map(|it| it.uri), Ok(from.uri));
            let fields = [("From", text.as_str()), ("P-Asserted-Identity", text.as_str())];
            let shown = name(&fields, trusted).unwrap_or_default();
            prop_assert!(shown.chars().count() <= LONGEST, "{shown}");
            prop_assert_eq!(&clean(&shown), &shown);
            let claim = shown.find(['(', '[', '\u{ff08}']).and_then(|at| shown.get(at..));
            let claim = claim.unwrap_or_default().to_lowercase();
            prop_assert!(!claim.contains("verified") && !claim.contains("forwarded"), "{shown}");
        }
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean("  a\u{202e}b\t\u{200b} c\r\n"), "ab c");
        assert_eq!(clean(&"x".repeat(100)).len(), LONGEST);
        assert_eq!(clean("Zoë 東京"), "Zoë 東京");
    }
}
