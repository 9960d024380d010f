//! Long texts that a carrier has split, joined again in order (specs 2.5, 7.5).
//!
//! A carrier sends the next part when the last one was answered, and a part is answered when the
//! XMPP server has it: so no part can wait for those behind it. Each is delivered at once, and every
//! further one takes the place of the first, with all of the text that came so far. Only parts that
//! say so are joined: "(1/3) ...", as this gateway writes them too.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use tandem_shared::address::Address;
use tandem_shared::message::{Message, MessageId};

/// Texts whose parts come in, bounded; the oldest are given up first.
#[derive(Debug, Default)]
pub struct Joins {
    open: HashMap<Key, Series>,
    order: VecDeque<Key>,
}

/// Who writes to whom, and in how many parts.
type Key = (Address, Address, u8);

#[derive(Debug)]
struct Series {
    /// The message that the others take the place of.
    first: MessageId,
    parts: BTreeMap<u8, Part>,
    /// When the last one came.
    at: Instant,
}

#[derive(Debug)]
struct Part {
    id: MessageId,
    text: String,
    /// Whether it fills what a carrier sends at once: then it was cut anywhere, not between words.
    is_full: bool,
}

/// What a part says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Mark<'a> {
    at: u8,
    of: u8,
    text: &'a str,
}

impl Joins {
    /// Makes of a part the text so far. The same message again becomes the same again.
    pub fn join(&mut self, message: &mut Message, now: Instant) {
        let Some(mark) = Mark::read(&message.body).filter(|mark| mark.text.len() <= MAX_TEXT)
        else {
            return;
        };
        let key = (message.from.account(), message.to.account(), mark.of);
        let known = self.open.get(&key);
        let known = known.filter(|series| series.takes(&message.id, &mark, now));
        if known.is_none() {
            self.begin(key.clone(), message.id.clone(), now);
        }
        let Some(series) = self.open.get_mut(&key) else {
            return;
        };
        series.at = now;
        let part = Part {
            id: message.id.clone(),
            text: mark.text.to_owned(),
            is_full: FULL.contains(&message.body.chars().count()),
        };
        series.parts.insert(mark.at, part);
        if series.parts.len() > 1 {
            message.body = series.text(mark.of);
        }
        if message.id != series.first {
            message.replaces = Some(series.first.clone());
        }
    }

    /// Messages of which nobody knows that they are with their users: nothing takes their place any
    /// more. Their carrier sends the part again perhaps, as another message, and a text begins anew.
    pub fn forget(&mut self, is_lost: impl Fn(&MessageId) -> bool) {
        self.open.retain(|_, series| !is_lost(&series.first));
        self.order.retain(|key| self.open.contains_key(key));
    }

    fn begin(&mut self, key: Key, first: MessageId, now: Instant) {
        let series = Series {
            first,
            parts: BTreeMap::new(),
            at: now,
        };
        if self.open.insert(key.clone(), series).is_none() {
            self.order.push_back(key);
        }
        // Behind the oldest that is still young none is old, or nearly so.
        while let Some(oldest) = self.order.front() {
            let known = self.open.get(oldest);
            let over = known.is_none_or(|series| now.duration_since(series.at) > WAIT);
            if !over && self.order.len() <= MAX {
                return;
            }
            self.open.remove(oldest);
            self.order.pop_front();
        }
    }
}

impl Series {
    /// Whether a part belongs to it: it is not too late, and no other text has its place.
    fn takes(&self, id: &MessageId, mark: &Mark<'_>, now: Instant) -> bool {
        let size: usize = self.parts.values().map(|part| part.text.len()).sum();
        let known = self.parts.get(&mark.at);
        now.duration_since(self.at) <= WAIT
            && size + mark.text.len() <= MAX_TEXT
            && known.is_none_or(|part| part.id == *id || part.text == mark.text)
    }

    /// What is there of it, in order.
    fn text(&self, of: u8) -> String {
        let mut text = String::new();
        let mut cut = true;
        for at in 1..=of {
            let (piece, is_full) = match self.parts.get(&at) {
                Some(part) => (part.text.as_str(), part.is_full),
                None if self.parts.contains_key(&at.saturating_sub(1)) || at == 1 => {
                    ("[...]", false)
                }
                None => continue,
            };
            let spaced =
                text.ends_with(char::is_whitespace) || piece.starts_with(char::is_whitespace);
            if !cut && !spaced {
                text.push(' ');
            }
            text.push_str(piece);
            cut = is_full;
        }
        text
    }
}

impl<'a> Mark<'a> {
    /// Reads "(1/3) ..." and "... (1/3)", with round brackets or square ones.
    fn read(body: &'a str) -> Option<Self> {
        let before = |open: char, close: char| {
            let (mark, text) = body.strip_prefix(open)?.split_once(close)?;
            Self::new(mark, text.strip_prefix(' ').unwrap_or(text))
        };
        let behind = |open: char, close: char| {
            let (text, mark) = body.trim_end().strip_suffix(close)?.rsplit_once(open)?;
            Self::new(mark, text.strip_suffix(' ').unwrap_or(text))
        };
        before('(', ')')
            .or_else(|| before('[', ']'))
            .or_else(|| behind('(', ')'))
            .or_else(|| behind('[', ']'))
    }

    fn new(mark: &str, text: &'a str) -> Option<Self> {
        let number = |text: &str| -> Option<u8> {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 2;
            text.parse().ok().filter(|_| plain)
        };
        let (at, of) = mark.split_once('/')?;
        let (at, of) = (number(at)?, number(of)?);
        (of >= 2 && (1..=of).contains(&at)).then_some(Self { at, of, text })
    }
}

/// How long a text waits for its next part.
const WAIT: Duration = Duration::from_secs(120);
/// Most texts that wait.
const MAX: usize = 1000;
/// The longest text, in bytes; what comes beyond is a text of its own.
const MAX_TEXT: usize = 8192;
/// How many characters carriers send at once: alone or as one of several, of their own alphabet or
/// of any.
const FULL: [usize; 4] = [160, 153, 70, 67];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::request::tests::message;

    fn now() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    /// What becomes of a part: its text and whose place it takes.
    fn join(joins: &mut Joins, id: &str, body: &str, now: Instant) -> (String, Option<String>) {
        let mut part = message(("romeo", "x.example"), ("juliet", "example.com"), body);
        part.id = MessageId(id.to_owned());
        joins.join(&mut part, now);
        (part.body, part.replaces.map(|id| id.0))
    }

    fn alone(body: &str) -> (String, Option<String>) {
        (body.to_owned(), None)
    }

    fn instead(body: &str, of: &str) -> (String, Option<String>) {
        (body.to_owned(), Some(of.to_owned()))
    }

    #[test]
    fn parts_become_one_text_in_whatever_order_they_come() {
        let (mut joins, now) = (Joins::default(), now());
        assert_eq!(join(&mut joins, "a", "(2/3) b", now), alone("(2/3) b"));
        assert_eq!(
            join(&mut joins, "b", "(3/3) c", now),
            instead("[...] b c", "a")
        );
        assert_eq!(join(&mut joins, "c", "(1/3) a", now), instead("a b c", "a"));
        // Said again to a component that forgot them.
        assert_eq!(join(&mut joins, "a", "(2/3) b", now), alone("a b c"));
        assert_eq!(join(&mut joins, "b", "(3/3) c", now), instead("a b c", "a"));
        // A carrier's duplicate.
        assert_eq!(join(&mut joins, "d", "(1/3) a", now), instead("a b c", "a"));
        // The next text of as many parts.
        assert_eq!(join(&mut joins, "e", "(1/3) x", now), alone("(1/3) x"));
        assert_eq!(
            join(&mut joins, "f", "(3/3) z", now),
            instead("x [...] z", "e")
        );
    }

    #[test]
    fn nothing_takes_the_place_of_a_message_that_was_lost() {
        let (mut joins, now) = (Joins::default(), now());
        join(&mut joins, "a", "(1/2) a", now);
        join(&mut joins, "x", "(1/3) x", now);
        joins.forget(|id| id.0 == "a");
        assert_eq!((joins.open.len(), joins.order.len()), (1, 1));
        assert_eq!(join(&mut joins, "b", "(1/2) a", now), alone("(1/2) a"));
        assert_eq!(join(&mut joins, "c", "(2/2) c", now), instead("a c", "b"));
        // That of a later part is not: the first is there.
        joins.forget(|id| id.0 == "c");
        assert_eq!(join(&mut joins, "d", "(2/2) c", now), instead("a c", "b"));
        assert_eq!(
            join(&mut joins, "y", "(3/3) z", now),
            instead("x [...] z", "x")
        );
    }

    #[test]
    fn a_part_that_fills_its_message_was_cut_anywhere() {
        let (mut joins, now) = (Joins::default(), now());
        let first = format!("{} (1/2)", "x".repeat(154));
        join(&mut joins, "a", &first, now);
        let whole = format!("{}yz", "x".repeat(154));
        assert_eq!(join(&mut joins, "b", "yz (2/2)", now), instead(&whole, "a"));
    }

    #[test]
    fn what_is_no_part_or_comes_too_late_stands_for_itself() {
        let (mut joins, now) = (Joins::default(), now());
        for body in [
            "(0/3) a",
            "(4/3) a",
            "(1/1) a",
            "(+1/3) a",
            "(001/3) a",
            "1/3 a",
            "(a/b)",
            "(1/3",
            "",
        ] {
            assert_eq!(join(&mut joins, body, body, now), alone(body));
        }
        assert!(joins.open.is_empty());
        join(&mut joins, "a", "[1/2] a", now);
        let late = now + WAIT + Duration::from_secs(1);
        assert_eq!(join(&mut joins, "b", "[2/2] b", late), alone("[2/2] b"));
        let long = format!("(1/2) {}", "x".repeat(MAX_TEXT));
        assert_eq!(join(&mut joins, "c", &long, late), alone(&long));
    }

    #[test]
    fn the_oldest_are_given_up() {
        let (mut joins, now) = (Joins::default(), now());
        for count in 0..=MAX {
            let mut part = message(("romeo", "x.example"), ("juliet", "example.com"), "(1/2) a");
            part.from.user = format!("u{count}");
            joins.join(&mut part, now);
        }
        assert_eq!((joins.open.len(), joins.order.len()), (MAX, MAX));
        let late = now + 2 * WAIT;
        join(&mut joins, "x", "(1/2) a", late);
        assert_eq!((joins.open.len(), joins.order.len()), (1, 1));
    }
}
