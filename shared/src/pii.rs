//! Personal data on its way to a log line.

use std::fmt;

/// Shows a value masked: enough to tell two parties apart, too little to name one.
///
/// Log lines at INFO and above print addresses only through this; DEBUG prints them plain.
#[derive(Debug, Clone, Copy)]
pub struct Pii<T>(pub T);

impl<T: fmt::Display> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.to_string();
        let (local, host) = match plain.rsplit_once('@') {
            Some((local, host)) => (local, Some(host.split('/').next().unwrap_or(host))),
            None => (plain.as_str(), None),
        };
        let shown: String = local
            .chars()
            .filter(|c| !c.is_control())
            .take(if local.starts_with('+') { 3 } else { 1 })
            .collect();
        let tag = crate::mint::hash(&[0; 16], &[local.as_bytes()]) as u16;
        write!(f, "{shown}…{tag:04x}")?;
        match host {
            Some(host) => write!(f, "@{}", printable(host)),
            None => Ok(()),
        }
    }
}

/// `text` with every control character replaced, so that a peer cannot forge log lines or send
/// terminal escapes (specs T30).
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_address_keeps_its_domain_and_hides_its_user() {
        let masked = Pii("juliet@example.com/balcony").to_string();
        assert!(masked.starts_with("j…"), "{masked}");
        assert!(masked.ends_with("@example.com"), "{masked}");
        assert!(!masked.contains("juliet") && !masked.contains("balcony"));
    }

    #[test]
    fn numbers_show_three_characters_and_differ_by_tag() {
        let (a, b) = (
            Pii("+15551234567@g").to_string(),
            Pii("+15551234568@g").to_string(),
        );
        assert!(a.starts_with("+15…"), "{a}");
        assert_ne!(a, b);
    }

    #[test]
    fn control_characters_never_pass() {
        assert!(
            !Pii("\u{1b}[31m@x\ny")
                .to_string()
                .contains(['\u{1b}', '\n'])
        );
    }
}
