//! Cuts an XMPP stream into its children without building anything of them.
//!
//! Invariant: only for streams of peers in this crate's own namespace: it believes that the XML is
//! well-formed, and that it has no comments and no CDATA (RFC 6120 §11.1).

use std::ops::Range;

/// Bytes of a stream, and how far they are understood.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    /// Where the next tag is looked for.
    at: usize,
    /// Where the open child begins.
    from: usize,
    depth: usize,
}

/// A part of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The tag that opens the stream.
    Opened(&'a [u8]),
    /// A whole child.
    Child(&'a [u8]),
    /// The tag that closes the stream.
    Closed,
}

enum Found {
    Opened(Range<usize>),
    Child(Range<usize>),
    Closed,
}

impl Splitter {
    /// Takes bytes that follow those taken before.
    pub fn extend(&mut self, bytes: &[u8]) {
        let done = if self.depth > 1 { self.from } else { self.at };
        self.buffer.drain(..done);
        self.at -= done;
        self.from -= done.min(self.from);
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete part.
    pub fn next_part(&mut self) -> Option<Part<'_>> {
        loop {
            let tag = self.next_tag()?;
            if let Some(found) = self.follow(tag) {
                let bytes = |range| self.buffer.get::<Range<usize>>(range).unwrap_or_default();
                return Some(match found {
                    Found::Opened(range) => Part::Opened(bytes(range)),
                    Found::Child(range) => Part::Child(bytes(range)),
                    Found::Closed => Part::Closed,
                });
            }
        }
    }

    /// The next complete tag from `<` to `>`; a `>` inside a quoted value ends nothing.
    fn next_tag(&mut self) -> Option<Range<usize>> {
        let rest = self.buffer.get(self.at..)?;
        let Some(open) = memchr::memchr(b'<', rest) else {
            self.at = self.buffer.len();
            return None;
        };
        self.at += open;
        let mut end = self.at;
        loop {
            let rest = self.buffer.get(end..)?;
            let found = memchr::memchr3(b'>', b'"', b'\'', rest)?;
            let quote = *rest.get(found)?;
            if quote == b'>' {
                let tag = self.at..end + found + 1;
                self.at = tag.end;
                return Some(tag);
            }
            let value = rest.get(found + 1..)?;
            end += found + 1 + memchr::memchr(quote, value)? + 1;
        }
    }

    fn follow(&mut self, tag: Range<usize>) -> Option<Found> {
        let bytes = self.buffer.get(tag.clone())?;
        match bytes {
            [b'<', b'?', ..] => None,
            [b'<', b'/', ..] => {
                self.depth = self.depth.saturating_sub(1);
                match self.depth {
                    0 => Some(Found::Closed),
                    1 => Some(Found::Child(self.from..tag.end)),
                    _ => None,
                }
            }
            [.., b'/', b'>'] => (self.depth == 1).then_some(Found::Child(tag)),
            _ => {
                self.depth += 1;
                if self.depth == 2 {
                    self.from = tag.start;
                }
                (self.depth == 1).then_some(Found::Opened(tag))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        "<?xml version='1.0'?><s:stream id='7'><iq/> <m a='>'><b><c/>x</b></m><m/></s:stream>";

    fn parts(chunk: usize) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut parts = Vec::new();
        for bytes in STREAM.as_bytes().chunks(chunk) {
            splitter.extend(bytes);
            while let Some(part) = splitter.next_part() {
                parts.push(match part {
                    Part::Opened(bytes) | Part::Child(bytes) => {
                        String::from_utf8(bytes.to_vec()).unwrap()
                    }
                    Part::Closed => "end".to_owned(),
                });
            }
        }
        parts
    }

    #[test]
    fn children_come_whole_however_the_stream_is_cut() {
        let whole = [
            "<s:stream id='7'>",
            "<iq/>",
            "<m a='>'><b><c/>x</b></m>",
            "<m/>",
            "end",
        ];
        for chunk in 1..STREAM.len() {
            assert_eq!(parts(chunk), whole, "in chunks of {chunk}");
        }
    }
}
