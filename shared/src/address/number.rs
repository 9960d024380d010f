//! Telephone numbers as users (RFC 3966 §5).

/// What the user part of an address is to the telephone network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// `+` and 1 to 15 digits (E.164).
    Global(String),
    /// A number of a local plan, or a service code: digits, `*` and `#`.
    Local(String),
}

impl Number {
    /// The number as a user part.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Global(digits) | Self::Local(digits) => digits,
        }
    }
}

/// Reads `user` as a telephone number, dropping the visual separators of RFC 3966 §5.1.1; nothing
/// when it is a name.
#[must_use]
pub fn parse(user: &str) -> Option<Number> {
    let separator = |c: char| matches!(c, '-' | '.' | '(' | ')' | ' ');
    let digits: String = user.chars().filter(|c| !separator(*c)).map(fold).collect();
    if let Some(rest) = digits.strip_prefix('+') {
        let global = (1..=15).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit());
        return global.then_some(Number::Global(digits));
    }
    let local = !digits.is_empty()
        && digits.len() <= 32
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#')
        && user
            .chars()
            .next()
            .is_some_and(|c| !separator(c) || c == '(');
    local.then_some(Number::Local(digits))
}

/// Full-width digits and plus to ASCII.
fn fold(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' => {
            char::from_u32(u32::from(c) - 0xff10 + u32::from('0')).unwrap_or(c)
        }
        '\u{ff0b}' => '+',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_fall_and_the_plus_stays() {
        for written in [
            "+15551234567",
            "+1-555-123-4567",
            "+1 (555) 123.4567",
            "＋１5551234567",
        ] {
            assert_eq!(
                parse(written),
                Some(Number::Global("+15551234567".into())),
                "{written}"
            );
        }
    }

    #[test]
    fn local_numbers_keep_star_and_hash() {
        assert_eq!(parse("*97"), Some(Number::Local("*97".into())));
        assert_eq!(parse("1234"), Some(Number::Local("1234".into())));
    }

    #[test]
    fn names_are_no_numbers() {
        for name in [
            "juliet",
            "+1abc",
            "",
            "+",
            "+1234567890123456",
            "1a2",
            "-",
            ".",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
