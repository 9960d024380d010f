//! The time, as the shell hands it to the core, and as SIP writes it (RFC 3261 §20.17).

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
pub use tandem_shared::clock::Now;

/// The value of a `Date` header field for a time in milliseconds since 1970.
#[must_use]
pub fn to_date(unix_ms: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(unix_ms).ok()?;
    Some(time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// A time in milliseconds since 1970 as people read it, `2010-11-13 23:29:00 UTC`.
#[must_use]
pub fn to_text(unix_ms: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(unix_ms).ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// The time a `Date` header field names, in milliseconds since 1970.
#[must_use]
pub fn from_date(text: &str) -> Option<i64> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let time = PARSER.parse_timestamp(text.trim()).ok()?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_reads_back_as_it_was_written() {
        let text = "Sat, 13 Nov 2010 23:29:00 GMT";
        let time = from_date(text).unwrap();
        assert_eq!(time, 1_289_690_940_000);
        assert_eq!(to_date(time).unwrap(), text);
        assert_eq!(to_text(time).unwrap(), "2010-11-13 23:29:00 UTC");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "yesterday",
            "Sat, 99 Nov 2010 23:29:00 GMT",
            "\u{0}",
            "2010-11-13T23:29:00Z",
        ] {
            assert_eq!(from_date(text), None, "{text}");
        }
    }
}
