//! Cutting a stream into requests and responses (RFC 3261 §18.3, RFC 5626 §4.4.1).
//!
//! The buffer never holds more than one message of [`MAX_MESSAGE`] and what came behind it in one
//! read; a stream that cannot be cut any further is [`Frame::Broken`] once and for all.

use bytes::{Buf, Bytes, BytesMut};

use super::grammar;
use super::header::Known;
use super::parse::{MAX_HEAD, MAX_MESSAGE, find_head_end};

/// A keep-alive (RFC 5626 §4.4.1).
pub const PING: &[u8] = b"\r\n\r\n";

/// What a stream brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole request or response.
    Message(Bytes),
    /// A keep-alive, to be answered with one line end.
    Ping,
    /// The answer to a keep-alive of ours ([`Framer::expect_pong`]).
    Pong,
    /// The end of the next message cannot be found. What was read of it is here, so that it can be
    /// answered; nothing behind it is worth reading.
    Broken(Bytes),
}

/// The bytes of a stream that are not cut yet.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// No head ends before here.
    scanned: usize,
    /// One line end of a keep-alive has been seen.
    half_ping: bool,
    /// A keep-alive of ours waits for its answer.
    awaits_pong: bool,
    broken: bool,
}

impl Framer {
    /// Appends what was read; call [`Framer::next`] until it returns `None` before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// A keep-alive of ours went out: the next line end that stands alone is its answer.
    pub fn expect_pong(&mut self) {
        self.awaits_pong = true;
    }

    /// Whether a message has begun and not ended.
    pub fn is_waiting(&self) -> bool {
        !self.buffer.is_empty() && !self.broken
    }

    /// The next thing the stream brought, if it is complete.
    #[expect(clippy::should_implement_trait, reason = "more may come after None")]
    pub fn next(&mut self) -> Option<Frame> {
        if let Some(sign) = self.take_line_ends() {
            return Some(sign);
        }
        if self.buffer.is_empty() {
            return None;
        }
        let Some((head, body)) = find_head_end(&self.buffer, self.scanned) else {
            self.scanned = self.buffer.len().saturating_sub(2);
            return (self.buffer.len() > MAX_HEAD).then(|| self.break_off());
        };
        let length = find_length(self.buffer.get(..head).unwrap_or_default());
        let total = match length {
            Some(length) if head <= MAX_HEAD && length <= MAX_MESSAGE => body + length,
            _ => return Some(self.break_off()),
        };
        if total > MAX_MESSAGE {
            return Some(self.break_off());
        }
        if self.buffer.len() < total {
            self.scanned = head.saturating_sub(1);
            return None;
        }
        self.scanned = 0;
        Some(Frame::Message(self.buffer.split_to(total).freeze()))
    }

    /// Takes line ends between messages: two are a keep-alive, whether they come together or not,
    /// and one alone is the answer to ours, if it waits for one.
    fn take_line_ends(&mut self) -> Option<Frame> {
        loop {
            let Some(first) = line_end(&self.buffer) else {
                if !matches!(*self.buffer, [] | [b'\r']) {
                    self.half_ping = false;
                }
                return None;
            };
            let second = self.buffer.get(first..).and_then(line_end);
            let (taken, sign) = match (self.half_ping, second) {
                (true, _) => (first, Some(Frame::Ping)),
                (false, Some(second)) => (first + second, Some(Frame::Ping)),
                (false, None) if self.awaits_pong => (first, Some(Frame::Pong)),
                (false, None) => (first, None),
            };
            self.buffer.advance(taken);
            self.scanned = 0;
            self.half_ping = sign.is_none();
            if sign == Some(Frame::Pong) {
                self.awaits_pong = false;
            }
            if sign.is_some() {
                return sign;
            }
        }
    }

    fn break_off(&mut self) -> Frame {
        self.broken = true;
        Frame::Broken(std::mem::take(&mut self.buffer).freeze())
    }
}

/// How many bytes of `text` are a line end, if it begins with one.
fn line_end(text: &[u8]) -> Option<usize> {
    match text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        [b'\r', other, ..] if *other != b'\n' => Some(1),
        _ => None,
    }
}

/// The value of `Content-Length`, folded or compact; the first one if there are several, since
/// parsing refuses those that differ.
fn find_length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split('\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if Known::parse(grammar::trim(name)) != Some(Known::ContentLength) {
            continue;
        }
        let mut value = grammar::trim(value);
        while value.is_empty()
            && lines
                .peek()
                .is_some_and(|next| next.starts_with([' ', '\t']))
        {
            value = grammar::trim(lines.next()?);
        }
        return usize::try_from(grammar::parse_number(value)?).ok();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "MESSAGE sip:a@b SIP/2.0\r\nl:\r\n 5\r\nVia: x\r\n\r\nhello";

    fn cut(pieces: &[&[u8]]) -> Vec<Frame> {
        let mut framer = Framer::default();
        let mut frames = Vec::new();
        for piece in pieces {
            framer.push(piece);
            frames.extend(std::iter::from_fn(|| framer.next()));
        }
        frames
    }

    #[test]
    fn a_message_split_at_any_byte_comes_out_whole() {
        let two = format!("{ONE}\r\n\r\n{ONE}");
        let whole = Frame::Message(Bytes::from_static(ONE.as_bytes()));
        for at in 0..two.len() {
            let (one, rest) = two.as_bytes().split_at(at);
            assert_eq!(
                cut(&[one, rest]),
                [whole.clone(), Frame::Ping, whole.clone()],
                "{at}"
            );
        }
        let bytes: Vec<_> = two.as_bytes().chunks(1).collect();
        assert_eq!(cut(&bytes), [whole.clone(), Frame::Ping, whole]);
    }

    #[test]
    fn one_line_end_is_an_answer_to_our_ping_and_nothing_else() {
        assert_eq!(cut(&[b"\r\n"]), []);
        assert_eq!(cut(&[b"\r\n", b"\r\n"]), [Frame::Ping]);
        assert_eq!(cut(&[b"\r\n\r\n\r\n\r\n"]), [Frame::Ping, Frame::Ping]);
    }

    #[test]
    fn a_pong_is_told_from_a_ping_by_whether_we_wait_for_one() {
        let mut framer = Framer::default();
        let mut feed = |bytes: &[u8], expected: bool| {
            if expected {
                framer.expect_pong();
            }
            framer.push(bytes);
            std::iter::from_fn(|| framer.next()).collect::<Vec<_>>()
        };
        assert_eq!(feed(b"\r\n", true), [Frame::Pong]);
        assert_eq!(feed(b"\r\n", true), [Frame::Pong]);
        // Theirs comes while we wait for an answer to ours.
        assert_eq!(feed(b"\r\n\r\n", true), [Frame::Ping]);
        assert_eq!(feed(b"\r\n", false), [Frame::Pong]);
        assert_eq!(feed(b"\r\n\r\n\r\n", true), [Frame::Ping, Frame::Pong]);
        assert_eq!(feed(ONE.as_bytes(), true).len(), 1);
        assert_eq!(feed(b"\r\n", false), [Frame::Pong]);
    }

    #[test]
    fn a_stream_without_length_is_broken_once() {
        let mut framer = Framer::default();
        framer.push(b"MESSAGE sip:a@b SIP/2.0\r\nVia: x\r\n\r\nhello");
        assert!(matches!(framer.next(), Some(Frame::Broken(_))));
        framer.push(ONE.as_bytes());
        assert_eq!(framer.next(), None);
    }

    #[test]
    fn giant_lengths_and_endless_heads_are_broken_and_not_awaited() {
        for length in ["65536", "99999999999999999999", "-1", "x"] {
            let text = format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
            assert!(
                matches!(cut(&[text.as_bytes()])[..], [Frame::Broken(_)]),
                "{length}"
            );
        }
        let endless = vec![b'x'; MAX_HEAD + 1];
        assert!(matches!(cut(&[&endless])[..], [Frame::Broken(_)]));
    }

    proptest! {
        #[test]
        fn line_ends_mean_the_same_wherever_reads_end(text in "[\r\n]{0,12}(\r\n){0,4}", at in 0..16_usize) {
            let bytes = text.as_bytes();
            let (one, rest) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(cut(&[one, rest]), cut(&[bytes]));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_never_pile_up(pieces in proptest::collection::vec("[\r\na:l 0-9]{0,40}", 0..40)) {
            let mut framer = Framer::default();
            for piece in pieces {
                framer.push(piece.as_bytes());
                while framer.next().is_some() {}
                prop_assert!(framer.buffer.len() <= MAX_MESSAGE);
            }
        }
    }
}
