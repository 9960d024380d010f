//! Whatever a user is called, what a trunk is told of it is what was meant.

use proptest::prelude::*;
use tandem_shared::address::Address;

use super::caller;
use crate::settings::tests::settings;
use crate::sip::header::Name;
use crate::sip::{NameAddr, Uri};
use crate::trunk::Asserts;
use crate::trunk::tests::trunk;

/// What begins or ends something in a header, alone and as it would be escaped, among ordinary letters.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\0",
    "<",
    ">",
    "\"",
    "\\",
    ";",
    ",",
    ":",
    "@",
    "?",
    "&",
    "=",
    "/",
    "%",
    "%0d%0a",
    "%00",
    "%22%3e",
    ";tag=evil",
    "?Route=evil",
    ";phone-context=evil",
    "sip:",
    "tel:",
    "+1555",
    "\u{202e}",
    "\u{200b}",
    "ü",
    "東",
    "a",
    "b.c",
    " ",
    "\t",
    "'",
    "(",
    ")",
    "*67",
];

fn part() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES);
    prop::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

fn is_hidden(text: &str) -> bool {
    text.contains(char::is_control)
}

proptest! {
    #[test]
    fn a_user_is_a_user_and_nothing_else(user in part(), hidden: bool, asserts in 0..4_usize) {
        let Ok(from) = Address::new(&user, "example.com") else {
            return Ok(());
        };
        let settings = settings();
        let own = settings.mapping.domain.clone();
        let mut trunk = trunk("t", &["+*"], Some("192.0.2.1"));
        trunk.asserts = [
            Asserts::Nothing,
            Asserts::Asserted,
            Asserts::Preferred,
            Asserts::RemoteParty,
        ][asserts];
        let Ok(caller) = caller(&from, (hidden, None), &trunk, &settings) else {
            return Ok(());
        };
        let text = caller.from.to_string();
        prop_assert!(!is_hidden(&text), "{text:?}");
        let back = NameAddr::parse(&text);
        prop_assert_eq!(back.as_ref(), Ok(&caller.from));
        let mut shown = vec![back.unwrap_or_else(|_| caller.from.clone())];
        for (name, value) in caller.headers.iter() {
            prop_assert!(!is_hidden(value), "{value:?}");
            if name != Name::Privacy {
                // One address, and not a list.
                prop_assert_eq!(caller.headers.values(name).count(), 1);
                shown.push(NameAddr::parse(value).map_err(|_| TestCaseError::fail(value.to_owned()))?);
            }
        }
        for party in shown {
            let Uri::Sip(uri) = &party.uri else {
                return Err(TestCaseError::fail(party.to_string()));
            };
            let host = uri.host.to_string();
            prop_assert!(host == own || (hidden && host == "anonymous.invalid"), "{party}");
            prop_assert!(uri.params.iter().next().is_none(), "{party}");
            prop_assert!(!party.params.has("tag"), "{party}");
            prop_assert!(!party.to_string().contains("?Route"), "{party}");
        }
    }
}
