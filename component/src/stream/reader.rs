//! Bytes of the server to stanzas.
//!
//! The depth and size of a stanza are bounded while it is read, so that no user can exhaust the
//! stack or the memory of the gateway; a stanza over a bound is skipped to its end, reported with
//! what is needed to answer it, and the stream goes on. Only broken XML ends the stream.

use minidom::Element;
use rxml::error::EndOrError;
use rxml::{Event, Options, Parse, WithOptions};
use std::collections::VecDeque;

/// The deepest nesting inside a stanza.
pub const DEPTH_MAX: usize = 64;
/// The longest single XML token, in bytes; over it the stream ends.
const TOKEN_MAX: usize = 1024 * 1024;
/// The most elements and attributes in one stanza.
const ITEMS_MAX: usize = 4096;

/// What the server said.
#[derive(Debug, PartialEq)]
pub enum Input {
    /// The stream is open; the id goes into the handshake.
    Opened {
        /// The stream's id, unescaped.
        id: String,
    },
    /// A complete child of the stream.
    Stanza(Box<Element>),
    /// A child that broke a bound: only its outermost tag is left of it.
    Skipped(Box<Element>, Defect),
    /// The server closed the stream in order.
    Closed,
}

/// Which bound a stanza broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// More bytes, elements or attributes than allowed.
    TooLarge,
}

/// Reads one stream from its first byte.
#[derive(Debug)]
pub struct Reader {
    parser: rxml::Parser,
    /// Bytes one stanza may take.
    size_max: usize,
    depth: usize,
    /// The elements that are open, outermost first; empty between stanzas.
    open: Vec<Element>,
    bytes: usize,
    items: usize,
    defect: Option<Defect>,
    ready: VecDeque<Input>,
}

impl Reader {
    /// A reader for stanzas of at most `size_max` bytes.
    #[must_use]
    pub fn new(size_max: usize) -> Self {
        let options = Options {
            max_token_length: TOKEN_MAX,
            ..Options::default()
        };
        Self {
            parser: rxml::Parser::with_options(options),
            size_max,
            depth: 0,
            open: Vec::new(),
            bytes: 0,
            items: 0,
            defect: None,
            ready: VecDeque::new(),
        }
    }

    /// Reads `bytes`, which follow those read before.
    ///
    /// # Errors
    /// When they are not XML that a stream may hold; the stream cannot be followed any further.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), rxml::Error> {
        loop {
            match self.parser.parse(&mut bytes, false) {
                Ok(Some(event)) => self.handle(event),
                Ok(None) => return Ok(()),
                Err(EndOrError::NeedMoreData) => return Ok(()),
                Err(EndOrError::Error(error)) => return Err(error),
            }
        }
    }

    /// The next thing the server said, in order.
    pub fn next_input(&mut self) -> Option<Input> {
        self.ready.pop_front()
    }

    fn handle(&mut self, event: Event) {
        self.bytes = self.bytes.saturating_add(event.metrics().len());
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (namespace, name), attributes) => {
                self.depth += 1;
                if self.depth == 1 {
                    let id = attributes.get(&rxml::Namespace::NONE, "id");
                    let id = id.cloned().unwrap_or_default();
                    self.ready.push_back(Input::Opened { id });
                    return;
                }
                if self.depth == 2 {
                    (self.bytes, self.items, self.defect) = (0, 0, None);
                }
                self.items = self.items.saturating_add(1 + attributes.len());
                // The event's own measure leaves the values of its attributes out.
                let values: usize = attributes.iter().map(|(_, value)| value.len()).sum();
                self.bytes = self.bytes.saturating_add(values);
                self.check();
                if self.defect.is_none() || self.open.is_empty() {
                    let mut element = Element::bare(name.as_str(), namespace.as_str());
                    *element.attrs_mut() = attributes;
                    self.open.push(element);
                }
            }
            Event::Text(_, text) => {
                self.check();
                if self.defect.is_none()
                    && let Some(element) = self.open.last_mut()
                {
                    element.append_text(text);
                }
            }
            Event::EndElement(_) => self.handle_end(),
        }
    }

    fn handle_end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        match self.depth {
            0 => self.ready.push_back(Input::Closed),
            1 => self.finish_stanza(),
            _ if self.defect.is_some() => {}
            _ => {
                if let Some(child) = self.open.pop()
                    && let Some(parent) = self.open.last_mut()
                {
                    parent.append_child(child);
                }
            }
        }
    }

    fn finish_stanza(&mut self) {
        let Some(stanza) = self.open.drain(..).next() else {
            return;
        };
        self.ready.push_back(match self.defect.take() {
            None => Input::Stanza(Box::new(stanza)),
            Some(defect) => {
                let mut tag = Element::bare(stanza.name(), stanza.ns());
                *tag.attrs_mut() = stanza.attrs().clone();
                Input::Skipped(Box::new(tag), defect)
            }
        });
    }

    /// Notes the first bound the stanza breaks.
    fn check(&mut self) {
        if self.defect.is_some() {
            return;
        }
        if self.depth - 1 > DEPTH_MAX {
            self.defect = Some(Defect::TooDeep);
        } else if self.bytes > self.size_max || self.items > ITEMS_MAX {
            self.defect = Some(Defect::TooLarge);
        }
    }
}

#[cfg(test)]
mod tests;
