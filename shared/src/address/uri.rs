//! The user part and the `gr` parameter of SIP URIs (RFC 3261 §25.1; RFC 7247 §6.4, §6.5).

use crate::refusal::{Reason, Refusal};

/// A user part for a SIP URI: everything that RFC 3261 does not allow there is percent-encoded.
///
/// `;`, `?` and `,` are allowed by the grammar but encoded all the same, because many peers cut a
/// user part at the first of them.
#[must_use]
pub fn user_to_sip(user: &str) -> String {
    encode(user, |b| {
        b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$/".contains(&b)
    })
}

/// The user that a SIP user part stands for.
///
/// # Errors
/// `bad-request` for a cut-off percent sequence, octets that are not UTF-8, or control characters.
pub fn user_from_sip(part: &str) -> Result<String, Refusal> {
    decode(part)
}

/// A device as the value of a `gr` parameter (RFC 5627 §5.4; RFC 3261 §25.1 `paramchar`).
#[must_use]
pub fn device_to_gr(device: &str) -> String {
    encode(device, |b| {
        b.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&b)
    })
}

/// The device that the value of a `gr` parameter stands for.
///
/// # Errors
/// As for [`user_from_sip`].
pub fn device_from_gr(value: &str) -> Result<String, Refusal> {
    decode(value)
}

fn encode(text: &str, allowed: impl Fn(u8) -> bool) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |nibble: u8| char::from(HEX.get(usize::from(nibble & 15)).copied().unwrap_or(b'0'));
    let mut encoded = String::with_capacity(text.len() + 6);
    for byte in text.bytes() {
        if allowed(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(hex(byte >> 4));
            encoded.push(hex(byte));
        }
    }
    encoded
}

fn decode(part: &str) -> Result<String, Refusal> {
    let malformed = |text: &str| Refusal::new(Reason::BadRequest).with_text(text);
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let byte = after
            .get(..2)
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .ok_or_else(|| malformed("A percent sequence in the address is cut off."))?;
        bytes.push(byte);
        rest = after.get(2..).unwrap_or_default();
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| malformed("The user part of the address is not UTF-8."))?;
    if text.chars().any(char::is_control) {
        return Err(malformed("The address holds control characters."));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sip_disallows_is_encoded() {
        assert_eq!(user_to_sip("tschüss"), "tsch%C3%BCss");
        assert_eq!(
            user_to_sip("a#%[\\]^{|}`b"),
            "a%23%25%5B%5C%5D%5E%7B%7C%7D%60b"
        );
        assert_eq!(user_to_sip("juliet@example.com"), "juliet%40example.com");
        assert_eq!(user_to_sip("m&m"), "m&m");
    }

    #[test]
    fn lower_case_hex_is_read() {
        assert_eq!(user_from_sip("f%c3%bc").unwrap(), "fü");
    }

    #[test]
    fn header_injection_by_percent_sequences_is_refused() {
        for evil in ["a%0d%0aRoute:x", "a%00b", "%", "%4", "%zz", "%ff", "%+1"] {
            assert!(user_from_sip(evil).is_err(), "{evil}");
        }
    }

    #[test]
    fn devices_with_separators_come_back() {
        for device in ["Conversations.3f+a", "a;b=c", "balcony café"] {
            assert_eq!(device_from_gr(&device_to_gr(device)).unwrap(), device);
        }
        assert_eq!(device_to_gr("a;b"), "a%3Bb");
    }
}
