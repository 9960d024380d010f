//! Parameters of a URI or of a header field (RFC 3261 §7.3.1): `;name=value;flag`.
//!
//! Kept as the text that came in, so that unknown ones pass through unchanged; every name is a
//! token and every value a token, a host or a quoted string, so the text can be printed as it is.

use std::borrow::Cow;
use std::fmt;

use super::grammar;

/// An ordered list of parameters, in wire form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Params(String);

impl Params {
    /// Reads `;a=b;c`; the leading semicolon may be missing. `None` on a name or value that is
    /// against the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let text = grammar::trim(text);
        let mut params = Self(String::with_capacity(text.len() + 1));
        let mut rest = text.strip_prefix(';').unwrap_or(text);
        while !rest.is_empty() {
            let (item, tail) = match grammar::find_outside(rest, b';') {
                Some(at) => (rest.get(..at)?, rest.get(at + 1..)?),
                None => (rest, ""),
            };
            rest = tail;
            let item = grammar::trim(item);
            if item.is_empty() {
                continue;
            }
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (grammar::trim(name), Some(grammar::trim(value))),
                None => (item, None),
            };
            if !is_name(name) || !value.is_none_or(is_value) {
                return None;
            }
            params.append(name, value);
        }
        Some(params)
    }

    /// The value of `name` with quotes removed; `Some("")` for a flag.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, value) = self
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let value = value.unwrap_or_default();
        let inside = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Some(inside.map_or(Cow::Borrowed(value), grammar::unquote))
    }

    /// Whether `name` stands here, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Sets `name`, quoting the value where it is no token. An invalid name is left out.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.remove(name);
        if !is_name(name) {
            return;
        }
        match value {
            Some(text) if !is_value(text) || text.starts_with('"') => {
                let mut quoted = String::new();
                grammar::push_quoted(&mut quoted, text);
                self.append(name, Some(&quoted));
            }
            other => self.append(name, other),
        }
    }

    /// Takes `name` away.
    pub fn remove(&mut self, name: &str) {
        if !self.has(name) {
            return;
        }
        let mut kept = Self::default();
        for (known, value) in self
            .iter()
            .filter(|(known, _)| !known.eq_ignore_ascii_case(name))
        {
            kept.append(known, value);
        }
        *self = kept;
    }

    /// All parameters in order, values as on the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        iterate(&self.0)
    }

    /// Wire form: empty, or beginning with a semicolon.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn append(&mut self, name: &str, value: Option<&str>) {
        self.0.push(';');
        self.0.push_str(name);
        if let Some(value) = value {
            self.0.push('=');
            self.0.push_str(value);
        }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parameters of a text that begins with a semicolon, unchecked.
pub(super) fn iterate(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let text = rest.strip_prefix(';')?;
        let end = grammar::find_outside(text, b';').unwrap_or(text.len());
        let (item, tail) = text.split_at_checked(end)?;
        rest = tail;
        Some(match item.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (item, None),
        })
    })
}

/// RFC 3261 §25.1 `paramchar` and `token` together.
fn is_param_byte(byte: u8) -> bool {
    grammar::is_token_byte(byte)
        || matches!(
            byte,
            b'[' | b']' | b'/' | b':' | b'&' | b'$' | b'(' | b')' | b'@'
        )
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| is_param_byte(b) && b != b'@')
}

fn is_value(text: &str) -> bool {
    match text.strip_prefix('"') {
        Some(rest) => match rest.strip_suffix('"') {
            Some(inside) => is_quoted_inside(inside),
            None => false,
        },
        None => text
            .bytes()
            .all(|byte| is_param_byte(byte) || byte == b'?' || byte == b'='),
    }
}

fn is_quoted_inside(text: &str) -> bool {
    let mut escaped = false;
    for character in text.chars() {
        if grammar::is_forbidden(character) || (character == '"' && !escaped) {
            return false;
        }
        escaped = character == '\\' && !escaped;
    }
    !escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_unknown_names() {
        let params = Params::parse("; tag = abc ;lr;x=\"a;b\\\"\"").unwrap();
        assert_eq!(params.as_str(), ";tag=abc;lr;x=\"a;b\\\"\"");
        assert_eq!(params.get("TAG").unwrap(), "abc");
        assert_eq!(params.get("x").unwrap(), "a;b\"");
        assert!(params.has("lr"));
        assert!(!params.has("l"));
    }

    #[test]
    fn refuses_control_characters_and_open_quotes() {
        assert_eq!(Params::parse(";a=\"b"), None);
        assert_eq!(Params::parse(";a=b\u{1}c"), None);
        assert_eq!(Params::parse(";a=<x>"), None);
        assert_eq!(Params::parse(";=x"), None);
    }

    #[test]
    fn setting_quotes_what_is_no_token() {
        let mut params = Params::default();
        params.set("text", Some("a b\r\nc"));
        params.set("lr", None);
        assert_eq!(params.as_str(), ";text=\"a b  c\";lr");
        params.remove("text");
        assert_eq!(params.as_str(), ";lr");
        params.set("bad name", None);
        assert_eq!(params.as_str(), ";lr");
    }
}
