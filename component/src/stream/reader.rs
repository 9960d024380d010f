//! Bytes of the server to stanzas.
//!
//! The depth and size of a stanza are bounded while it is read, so that no user can exhaust the
//! stack or the memory of the gateway; a stanza over a bound is skipped to its end, reported with
//! what is needed to answer it, and the stream goes on. Only broken XML ends the stream.
//!
//! Prefixes are resolved here and not by the parser, whose resolver takes time in the square of the
//! depth: a stanza of 256 KiB that is nothing but nesting would cost seconds.

use super::scope::Scopes;
use minidom::Element;
use rxml::error::EndOrError;
use rxml::{AttrMap, Namespace, NcName, Parse, RawEvent, RawParser, WithOptions};
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

/// Why a stream cannot be followed any further.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Broken {
    /// It is not XML, or XML that no stream may hold.
    #[error("{0}")]
    Xml(rxml::Error),
    /// A prefix stands for nothing.
    #[error("a namespace prefix is not declared")]
    Prefix,
}

/// Reads one stream from its first byte.
#[derive(Debug)]
pub struct Reader {
    parser: RawParser,
    /// Bytes one stanza may take.
    size_max: usize,
    depth: usize,
    /// The tag that is being read.
    tag: Option<Tag>,
    scopes: Scopes,
    /// The elements that are open, outermost first; empty between stanzas.
    open: Vec<Element>,
    bytes: usize,
    items: usize,
    defect: Option<Defect>,
    ready: VecDeque<Input>,
}

#[derive(Debug)]
struct Tag {
    prefix: Option<NcName>,
    name: NcName,
    attributes: Vec<(Option<NcName>, NcName, String)>,
}

impl Reader {
    /// A reader for stanzas of at most `size_max` bytes.
    #[must_use]
    pub fn new(size_max: usize) -> Self {
        let options = rxml::Options {
            max_token_length: TOKEN_MAX,
            ..rxml::Options::default()
        };
        Self {
            parser: RawParser::with_options(options),
            size_max,
            depth: 0,
            tag: None,
            scopes: Scopes::default(),
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
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        loop {
            match self.parser.parse(&mut bytes, false) {
                Ok(Some(event)) => self.handle(event)?,
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(()),
                Err(EndOrError::Error(error)) => return Err(Broken::Xml(error)),
            }
        }
    }

    /// The next thing the server said, in order.
    pub fn next_input(&mut self) -> Option<Input> {
        self.ready.pop_front()
    }

    fn handle(&mut self, event: RawEvent) -> Result<(), Broken> {
        self.bytes = self.bytes.saturating_add(event.metrics().len());
        match event {
            RawEvent::XmlDeclaration(..) => {}
            RawEvent::ElementHeadOpen(_, (prefix, name)) => self.handle_open(prefix, name),
            RawEvent::Attribute(_, (prefix, name), value) => {
                self.items = self.items.saturating_add(1);
                self.check();
                if let Some(tag) = &mut self.tag {
                    tag.attributes.push((prefix, name, value));
                }
            }
            RawEvent::ElementHeadClose(_) => self.handle_tag()?,
            RawEvent::Text(_, text) => {
                self.check();
                if self.defect.is_none()
                    && let Some(element) = self.open.last_mut()
                {
                    element.append_text(text);
                }
            }
            RawEvent::ElementFoot(_) => self.handle_end(),
        }
        Ok(())
    }

    fn handle_open(&mut self, prefix: Option<NcName>, name: NcName) {
        self.depth += 1;
        if self.depth == 2 {
            (self.bytes, self.items, self.defect) = (0, 0, None);
        }
        self.items = self.items.saturating_add(1);
        self.check();
        // A stanza's own tag is kept even if something is wrong with it: it is needed to answer.
        let wanted = self.defect.is_none() || self.open.is_empty();
        self.tag = wanted.then_some(Tag {
            prefix,
            name,
            attributes: Vec::new(),
        });
    }

    /// The tag that was being read is complete.
    fn handle_tag(&mut self) -> Result<(), Broken> {
        let Some(tag) = self.tag.take() else {
            return Ok(());
        };
        self.scopes.push(&tag.attributes);
        let namespace = self
            .scopes
            .element(tag.prefix.as_ref())
            .ok_or(Broken::Prefix)?;
        let mut element = Element::bare(tag.name.as_str(), namespace);
        *element.attrs_mut() = self.attributes(tag.attributes)?;
        if self.depth == 1 {
            let id = element.attr("id").unwrap_or_default().to_owned();
            self.ready.push_back(Input::Opened { id });
        } else {
            self.open.push(element);
        }
        Ok(())
    }

    fn attributes(&self, read: Vec<(Option<NcName>, NcName, String)>) -> Result<AttrMap, Broken> {
        let mut attributes = AttrMap::new();
        for (prefix, name, value) in read {
            let namespace = match &prefix {
                None if name.as_str() == "xmlns" => continue,
                None => Namespace::NONE,
                Some(prefix) if prefix.as_str() == "xmlns" => continue,
                Some(prefix) if prefix.as_str() == "xml" => Namespace::xml().clone(),
                Some(_) => {
                    let namespace = self.scopes.element(prefix.as_ref());
                    Namespace::from(namespace.ok_or(Broken::Prefix)?.to_owned())
                }
            };
            attributes.insert(namespace, name, value);
        }
        Ok(attributes)
    }

    fn handle_end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        match self.depth {
            0 => self.ready.push_back(Input::Closed),
            1 => self.finish_stanza(),
            _ if self.defect.is_some() => {}
            _ => {
                self.scopes.pop();
                if let Some(child) = self.open.pop()
                    && let Some(parent) = self.open.last_mut()
                {
                    parent.append_child(child);
                }
            }
        }
    }

    fn finish_stanza(&mut self) {
        self.scopes.truncate(1);
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
        if self.defect.is_some() || self.depth < 2 {
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
