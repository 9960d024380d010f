//! What the messages of the load say, and who says it.
//!
//! Invariant: a body holds its number within its first characters, whatever carries it.

use std::io::Write as _;

use memchr::memmem;

/// Which message; counted through a whole run of the program.
pub type Number = u64;

/// The domain of the XMPP users.
pub const USERS: &str = "users.localhost";
/// The domain of the SIP users.
pub const PHONES: &str = "sip.test";

/// Appends the body of message `number`.
pub fn write_body(out: &mut Vec<u8>, number: Number) {
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "m{number:012} Two households, both alike in dignity, in fair Verona"
    );
}

/// The number at the start of a body, or of an id that [`write_id`] wrote.
pub fn read_number(body: &[u8]) -> Option<Number> {
    let digits = body.strip_prefix(b"m")?.get(..12)?;
    digits.iter().try_fold(0, |number: Number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + Number::from(byte - b'0'))
    })
}

/// Appends the id of message `number`.
pub fn write_id(out: &mut Vec<u8>, number: Number) {
    let _ = write!(out, "m{number:012}");
}

/// The value of the attribute `name` in the first tag of `stanza`.
pub fn attribute<'a>(stanza: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let tag = stanza.get(..memchr::memchr(b'>', stanza)?)?;
    let name = name.as_bytes();
    memmem::find_iter(tag, name).find_map(|at| {
        let before = at.checked_sub(1).and_then(|before| tag.get(before))?;
        let [b'=', quote, rest @ ..] = tag.get(at + name.len()..)? else {
            return None;
        };
        let is_attribute = before.is_ascii_whitespace() && matches!(quote, b'"' | b'\'');
        let end = memchr::memchr(*quote, rest).filter(|_| is_attribute)?;
        rest.get(..end)
    })
}

/// The text inside the first `<body>` of `stanza`, still escaped.
pub fn body(stanza: &[u8]) -> Option<&[u8]> {
    let from = memmem::find(stanza, b"<body")?;
    let rest = stanza.get(from..)?;
    let inside = rest.get(memchr::memchr(b'>', rest)? + 1..)?;
    inside.get(..memchr::memchr(b'<', inside)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back_from_a_stanza() {
        let mut stanza =
            b"<message xid='no' id=\"m000000000042\" to='a'><body xml:lang='en'>".to_vec();
        write_body(&mut stanza, 42);
        stanza.extend_from_slice(b"</body></message>");
        assert_eq!(body(&stanza).and_then(read_number), Some(42));
        assert_eq!(attribute(&stanza, "id").and_then(read_number), Some(42));
        assert_eq!(attribute(&stanza, "type"), None);
    }
}
