//! JID escaping of localparts (XEP-0106).
//!
//! Ten characters cannot stand in a localpart; each has a three-character sequence. A backslash is
//! itself escaped only where it would otherwise begin one of those sequences.

/// The escape sequence's two hexadecimal digits for each character (XEP-0106 §3.2).
const SEQUENCES: [(char, &str); 10] = [
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
    ('\\', "5c"),
];

/// `text` as a localpart, or nothing where escaping cannot help: a space may be neither first nor
/// last (XEP-0106 §4.3).
#[must_use]
pub fn escape(text: &str) -> Option<String> {
    if text.starts_with(' ') || text.ends_with(' ') {
        return None;
    }
    let mut localpart = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        let sequence = SEQUENCES.iter().find(|(plain, _)| *plain == c);
        match sequence {
            Some(('\\', hex)) if begins_sequence(text.get(at..).unwrap_or_default()) => {
                localpart.push('\\');
                localpart.push_str(hex);
            }
            None | Some(('\\', _)) => localpart.push(c),
            Some((_, hex)) => {
                localpart.push('\\');
                localpart.push_str(hex);
            }
        }
    }
    Some(localpart)
}

/// The text a localpart stands for. Unknown and cut-off sequences stay as they are.
#[must_use]
pub fn unescape(localpart: &str) -> String {
    let mut text = String::with_capacity(localpart.len());
    let mut rest = localpart;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        match decode(from) {
            Some(plain) => {
                text.push(plain);
                rest = from.get(3..).unwrap_or_default();
            }
            None => {
                text.push('\\');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    text.push_str(rest);
    text
}

/// The character that the sequence at the start of `text` stands for.
fn decode(text: &str) -> Option<char> {
    let hex = text.strip_prefix('\\')?.get(..2)?;
    SEQUENCES
        .iter()
        .find(|(_, sequence)| sequence.eq_ignore_ascii_case(hex))
        .map(|(plain, _)| *plain)
}

fn begins_sequence(text: &str) -> bool {
    decode(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ten_characters_are_escaped_in_lower_case() {
        assert_eq!(
            escape(r#"a b"&'/:<>@c"#).unwrap(),
            r"a\20b\22\26\27\2f\3a\3c\3e\40c"
        );
    }

    #[test]
    fn a_backslash_is_escaped_only_before_a_sequence() {
        assert_eq!(escape(r"c:\net").unwrap(), r"c\3a\net");
        assert_eq!(escape(r"c:\5commas").unwrap(), r"c\3a\5c5commas");
        assert_eq!(escape(r"c:\\40").unwrap(), r"c\3a\\5c40");
        assert_eq!(escape(r"a\zz\4").unwrap(), r"a\zz\4");
    }

    #[test]
    fn the_examples_of_the_specification_come_back() {
        for (plain, escaped) in [
            ("space cadet", r"space\20cadet"),
            (r#"call me "ishmael""#, r"call\20me\20\22ishmael\22"),
            ("at&t guy", r"at\26t\20guy"),
            ("d'artagnan", r"d\27artagnan"),
            ("/.fanboy", r"\2f.fanboy"),
            ("::foo::", r"\3a\3afoo\3a\3a"),
            ("<foo>", r"\3cfoo\3e"),
            ("user@host", r"user\40host"),
            (r"c:\cool stuff", r"c\3a\cool\20stuff"),
        ] {
            assert_eq!(escape(plain).unwrap(), escaped);
            assert_eq!(unescape(escaped), plain);
        }
    }

    #[test]
    fn spaces_at_the_ends_have_no_form() {
        assert_eq!(escape(" a"), None);
        assert_eq!(escape("a "), None);
    }
}
