//! Keys in INFO requests, in the two dialects phones and gateways speak.

use tandem_shared::call::Dtmf;

/// The dialect with a duration.
pub const RELAY: &str = "application/dtmf-relay";
/// What is read.
pub const ACCEPT: &str = "application/dtmf-relay, application/dtmf";

/// A content type nobody here reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

/// The key in an INFO; none where it says nothing that can be pressed.
///
/// # Errors
/// When the body is of another kind.
pub fn read(content_type: &str, body: &[u8]) -> Result<Option<Dtmf>, Unknown> {
    if body.is_empty() && content_type.is_empty() {
        return Ok(None);
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let text = String::from_utf8_lossy(body.get(..MAX).unwrap_or(body)).into_owned();
    if essence.eq_ignore_ascii_case("application/dtmf") {
        return Ok(key(text.trim()).map(|key| Dtmf {
            key,
            milliseconds: USUAL,
        }));
    }
    if !essence.eq_ignore_ascii_case(RELAY) {
        return Err(Unknown);
    }
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let duration = value("Duration").and_then(|text| text.parse::<u16>().ok());
    Ok(value("Signal").and_then(|text| key(&text)).map(|key| Dtmf {
        key,
        milliseconds: duration.unwrap_or(USUAL).clamp(SHORTEST, LONGEST),
    }))
}

/// The body that says `pressed`.
#[must_use]
pub fn relay(pressed: &Dtmf) -> String {
    let milliseconds = pressed.milliseconds.clamp(SHORTEST, LONGEST);
    let key = key(pressed.key.encode_utf8(&mut [0; 4])).unwrap_or('0');
    format!("Signal={key}\r\nDuration={milliseconds}\r\n")
}

/// A key by its name, or by its number of RFC 4733.
fn key(text: &str) -> Option<char> {
    let upper = text.to_ascii_uppercase();
    let mut chars = upper.chars();
    match (chars.next(), chars.next()) {
        (Some(key @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Some(key),
        _ => match upper.parse::<usize>() {
            Ok(number @ 10..=15) => "*#ABCD".chars().nth(number - 10),
            _ => None,
        },
    }
}

/// Longer bodies say nothing more.
const MAX: usize = 256;
/// How long a key is held that says nothing of it, in milliseconds.
const USUAL: u16 = 160;
const SHORTEST: u16 = 40;
const LONGEST: u16 = 6000;

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(key: char, milliseconds: u16) -> Result<Option<Dtmf>, Unknown> {
        Ok(Some(Dtmf { key, milliseconds }))
    }

    #[test]
    fn both_dialects_are_read() {
        let relay = |body: &str| read("application/dtmf-relay", body.as_bytes());
        assert_eq!(relay("Signal=5\r\nDuration=250\r\n"), pressed('5', 250));
        assert_eq!(relay("Signal= #\nDuration= 1"), pressed('#', SHORTEST));
        assert_eq!(relay("Signal=11"), pressed('#', USUAL));
        assert_eq!(relay("Signal=!"), Ok(None));
        assert_eq!(read("Application/DTMF; a=b", b"b"), pressed('B', USUAL));
        assert_eq!(read("", b""), Ok(None));
        assert_eq!(read("text/plain", b"5"), Err(Unknown));
    }

    #[test]
    fn what_is_written_is_read() {
        for key in "0123456789*#ABCD".chars() {
            let written = relay(&Dtmf {
                key,
                milliseconds: 100,
            });
            assert_eq!(read(RELAY, written.as_bytes()), pressed(key, 100));
        }
    }
}
