//! The characters of SIP (RFC 3261 §25.1): tokens, quoted strings, percent-encoding, lists.
//!
//! Everything printed passes through here, so no control character and no line end ever leaves.

use std::borrow::Cow;

/// Whether `text` is a non-empty token.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether a byte may stand in a token.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// Whether a byte may stand unescaped in the user part of a SIP URI (RFC 3261 §25.1 `user`).
pub fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
        )
        || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
}

/// Whether a character must never be printed inside a header value: C0, DEL, C1 and the Unicode
/// line and paragraph separators. A tab is white space, not a control character, in a header.
pub fn is_forbidden(character: char) -> bool {
    (character.is_control() && character != '\t') || matches!(character, '\u{2028}' | '\u{2029}')
}

/// `text` with every forbidden character turned into a space.
pub fn clean(text: &str) -> Cow<'_, str> {
    // Printable ASCII is nearly everything, and cheap to tell when nothing breaks off the loop.
    let odd = text.bytes().fold(0, |odd, byte| {
        odd | u8::from(byte.wrapping_sub(b' ') > b'~' - b' ')
    });
    if odd == 0 || !text.contains(is_forbidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|c| if is_forbidden(c) { ' ' } else { c })
            .collect(),
    )
}

/// Appends `text` as a quoted string, escaped; control characters become spaces.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in clean(text).chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

/// The text inside a quoted string (without its quotes), with the escapes undone.
pub fn unquote(inside: &str) -> Cow<'_, str> {
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            plain => out.push(plain),
        }
    }
    Cow::Owned(out)
}

/// Appends `bytes`, percent-encoding what `keep` does not allow. Upper-case hex.
pub fn push_percent_encoded(out: &mut String, bytes: &[u8], keep: fn(u8) -> bool) {
    for &byte in bytes {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(
                    char::from_digit(u32::from(digit), 16).map_or('0', |d| d.to_ascii_uppercase()),
                );
            }
        }
    }
}

/// Whether `text` holds nothing but bytes `keep` allows and escapes of two hex digits.
pub fn is_percent_encoded(text: &str, keep: fn(u8) -> bool) -> bool {
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            [byte, after @ ..] if keep(*byte) => after,
            _ => return false,
        }
    }
}

/// Undoes percent-encoding; a `%` without two hex digits stands for itself.
pub fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', &[high, low, ref after @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => {
                    out.push(b'%');
                    rest = tail;
                }
            },
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

/// Where `wanted` first stands outside quoted strings and angle brackets.
pub fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut bracket = false;
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        if byte == wanted && !bracket {
            return Some(at);
        }
        match byte {
            b'"' if !bracket => quoted = true,
            b'<' => bracket = true,
            b'>' => bracket = false,
            _ => {}
        }
    }
    None
}

/// The members of a comma-separated header value (RFC 3261 §7.3.1), trimmed, empty ones left out.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let (item, tail) = match find_outside(text, b',') {
                Some(at) => (text.get(..at)?, text.get(at + 1..)),
                None => (text, None),
            };
            rest = tail;
            let item = trim(item);
            if !item.is_empty() {
                return Some(item);
            }
        }
    })
}

/// Text without the linear white space around it.
pub fn trim(text: &str) -> &str {
    text.trim_ascii()
}

/// A decimal number of digits only: no sign, no spaces.
pub fn parse_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_inside_quotes_or_brackets_does_not_split() {
        let list = r#""Smith, J\"," <sip:a,b@c>, <sip:d@e>,, x"#;
        let items: Vec<_> = split_list(list).collect();
        assert_eq!(items, [r#""Smith, J\"," <sip:a,b@c>"#, "<sip:d@e>", "x"]);
    }

    #[test]
    fn quoted_text_survives_a_round_trip() {
        let mut out = String::new();
        push_quoted(&mut out, r#"a "b" \ c"#);
        assert_eq!(out, r#""a \"b\" \\ c""#);
        assert_eq!(unquote(&out[1..out.len() - 1]), r#"a "b" \ c"#);
    }

    #[test]
    fn line_ends_never_leave() {
        let mut out = String::new();
        push_quoted(&mut out, "a\r\nRoute: x\u{85}\0");
        assert_eq!(out, "\"a  Route: x  \"");
        assert_eq!(clean("plain"), Cow::Borrowed("plain"));
    }

    #[test]
    fn a_lone_percent_sign_stands_for_itself() {
        assert_eq!(&*percent_decode("%41%zz%4"), b"A%zz%4");
        let mut out = String::new();
        push_percent_encoded(&mut out, "ü@%".as_bytes(), is_user_byte);
        assert_eq!(out, "%C3%BC%40%25");
    }

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(parse_number("42"), Some(42));
        assert_eq!(parse_number("+42"), None);
        assert_eq!(parse_number("99999999999999999999999"), None);
    }
}
