//! The header fields of a request or response, in order (RFC 3261 §7.3).
//!
//! All text lives in one buffer with ranges into it, so that reading a head costs two allocations.
//! Values hold no line ends and no control characters: reading unfolds, writing cleans.

use std::fmt;

use super::grammar;

mod cseq;
mod name;
mod privacy;
mod rack;
mod reason;
mod replaces;
mod session_expires;

pub use cseq::CSeq;
pub use name::{Known, Name};
pub use privacy::{Privacy, unmet as unmet_privacy};
pub use rack::RAck;
pub use reason::{Protocol, Reason};
pub use replaces::Replaces;
pub use session_expires::{Refresher, SessionExpires};

/// An ordered list of header fields.
#[derive(Clone, Default)]
pub struct Headers {
    text: String,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    known: Option<Known>,
    name: Span,
    value: Span,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Headers {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for a usual request, so that building one does not grow step by step.
    pub fn with_capacity(lines: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            lines: Vec::with_capacity(lines),
        }
    }

    /// Adds a field at the end. Control characters of the value become spaces; a name that is no
    /// token is left out, since it could only be an injection.
    pub fn push<'n>(&mut self, name: impl Into<Name<'n>>, value: &str) {
        if let Some(line) = self.store(name.into(), value) {
            self.lines.push(line);
        }
    }

    /// Adds a field in front of all others, as a Via is.
    pub fn push_front<'n>(&mut self, name: impl Into<Name<'n>>, value: &str) {
        if let Some(line) = self.store(name.into(), value) {
            self.lines.insert(0, line);
        }
    }

    /// Replaces the first field of that name in its place, removes its namesakes; adds it at the
    /// end where there was none.
    pub fn set<'n>(&mut self, name: impl Into<Name<'n>>, value: &str) {
        let name = name.into();
        let Some(line) = self.store(name, value) else {
            return;
        };
        match self
            .lines
            .iter()
            .position(|known| self.is_named(known, name))
        {
            Some(at) => {
                let text = &self.text;
                let mut index = 0;
                self.lines.retain(|known| {
                    index += 1;
                    index - 1 <= at || !is_named(text, known, name)
                });
                if let Some(slot) = self.lines.get_mut(at) {
                    *slot = line;
                }
            }
            None => self.lines.push(line),
        }
    }

    /// Replaces the first value of a list, such as the topmost Via, and nothing else.
    pub fn set_first<'n>(&mut self, name: impl Into<Name<'n>>, value: &str) {
        let name = name.into();
        let Some(at) = self.lines.iter().position(|line| self.is_named(line, name)) else {
            return self.push(name, value);
        };
        let old = self.lines.get(at).map_or("", |line| self.slice(line.value));
        let rest = grammar::find_outside(old, b',').and_then(|comma| old.get(comma..));
        let value = format!("{value}{}", rest.unwrap_or_default());
        if let Some(line) = self.store(name, &value)
            && let Some(slot) = self.lines.get_mut(at)
        {
            *slot = line;
        }
    }

    /// Removes every field of that name.
    pub fn remove<'n>(&mut self, name: impl Into<Name<'n>>) {
        let name = name.into();
        let text = &self.text;
        self.lines.retain(|line| !is_named(text, line, name));
    }

    /// The value of the first field of that name.
    pub fn get<'n>(&self, name: impl Into<Name<'n>>) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all fields of that name, one per line, unsplit.
    pub fn all<'n>(&self, name: impl Into<Name<'n>>) -> impl Iterator<Item = &str> {
        let name = name.into();
        self.lines
            .iter()
            .filter(move |line| self.is_named(line, name))
            .map(|line| self.slice(line.value))
    }

    /// The values of all fields of that name, split at their commas. For names whose grammar is a
    /// list (Via, Route, Contact, Allow, Supported, Require, Accept); not for Authorization.
    pub fn values<'n>(&self, name: impl Into<Name<'n>>) -> impl Iterator<Item = &str> {
        self.all(name).flat_map(grammar::split_list)
    }

    /// How many fields of that name there are.
    pub fn count<'n>(&self, name: impl Into<Name<'n>>) -> usize {
        self.all(name).count()
    }

    /// All fields in order, as (name, value).
    pub fn iter(&self) -> impl Iterator<Item = (Name<'_>, &str)> {
        self.lines.iter().map(|line| {
            let name = match line.known {
                Some(known) => Name::Known(known),
                None => Name::Other(self.slice(line.name)),
            };
            (name, self.slice(line.value))
        })
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn store(&mut self, name: Name<'_>, value: &str) -> Option<Line> {
        let (known, name) = match name {
            Name::Known(known) => (Some(known), Span::default()),
            Name::Other(text) if grammar::is_token(text) => (None, self.append(text)?),
            Name::Other(_) => return None,
        };
        let value = self.append(grammar::trim(&grammar::clean(value)))?;
        Some(Line { known, name, value })
    }

    fn append(&mut self, text: &str) -> Option<Span> {
        let start = u32::try_from(self.text.len()).ok()?;
        let end = u32::try_from(self.text.len() + text.len()).ok()?;
        self.text.push_str(text);
        Some(Span { start, end })
    }

    fn slice(&self, span: Span) -> &str {
        slice(&self.text, span)
    }

    fn is_named(&self, line: &Line, name: Name<'_>) -> bool {
        is_named(&self.text, line, name)
    }
}

fn slice(text: &str, span: Span) -> &str {
    let (Ok(start), Ok(end)) = (usize::try_from(span.start), usize::try_from(span.end)) else {
        return "";
    };
    text.get(start..end).unwrap_or_default()
}

fn is_named(text: &str, line: &Line, name: Name<'_>) -> bool {
    match (line.known, name) {
        (Some(one), Name::Known(two)) => one == two,
        (None, Name::Other(other)) => slice(text, line.name).eq_ignore_ascii_case(other),
        _ => false,
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

/// Names only: values hold addresses and credentials.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name.as_str().to_owned()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_by_any_form_of_their_name() {
        let mut headers = Headers::new();
        headers.push("m", "<sip:a@b>, <sip:c@d>");
        headers.push("Contact", "<sip:e@f>");
        headers.push("x-thing", "1");
        assert_eq!(headers.values(Name::Contact).count(), 3);
        assert_eq!(headers.get("X-THING"), Some("1"));
        assert_eq!(headers.count("contact"), 2);
    }

    #[test]
    fn setting_replaces_in_place_and_removes_namesakes() {
        let mut headers = Headers::new();
        for (name, value) in [("To", "1"), ("From", "2"), ("Subject", "3"), ("From", "4")] {
            headers.push(name, value);
        }
        headers.set(Name::From, "5");
        let all: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        assert_eq!(all, [("To", "1"), ("From", "5"), ("Subject", "3")]);
        headers.set("New", "6");
        headers.remove("to");
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn neither_name_nor_value_can_inject_a_line() {
        let mut headers = Headers::new();
        headers.push(Name::Subject, "a\r\nRoute: <sip:evil>\0");
        headers.push("Bad\r\nName", "x");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers.get(Name::Subject), Some("a  Route: <sip:evil>"));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let mut headers = Headers::new();
        headers.push(Name::Authorization, "Digest secret");
        assert_eq!(format!("{headers:?}"), "[\"Authorization\"]");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_values_never_panic(text in "[a-zA-Z0-9.=;,\"\\\\ <>@-]{0,40}") {
            let _ = Reason::parse(&text);
            let _ = Replaces::parse(&text);
            let _ = RAck::parse(&text);
            let _ = SessionExpires::parse(&text);
        }
    }
}
