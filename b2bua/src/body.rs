//! The bodies of MESSAGE requests as plain text (RFC 3428 §10; specs 2.1, 2.10).
//!
//! What comes out is text an XML stream can carry, with LF between lines; nothing is ever run,
//! fetched or unpacked.

use tandem_shared::refusal::{Reason, Refusal};

use crate::sip::Headers;
use crate::sip::header::Name;

mod charset;
pub mod dtmf;
mod html;
mod media_type;
mod multipart;
pub mod sdp;

use media_type::MediaType;

/// The content types that are read, for `Accept`.
pub const ACCEPT: &str = "text/plain, text/html, multipart/mixed, multipart/alternative";

/// The text of a body; nothing when there is none.
///
/// # Errors
/// `UnsupportedMedia` for types, charsets and encodings that are not read.
pub fn read(headers: &Headers, body: &[u8]) -> Result<Option<String>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let coded = |coding: &str| !coding.eq_ignore_ascii_case("identity");
    if headers.values(Name::ContentEncoding).any(coded) {
        return Err(unsupported("Encoded bodies are not read here."));
    }
    let kind = headers.get(Name::ContentType).unwrap_or("text/plain");
    let kind =
        MediaType::parse(kind).ok_or_else(|| unsupported("The content type is not valid."))?;
    let text = read_part(&kind, body, 0)?.text;
    Ok((!text.trim().is_empty()).then_some(text))
}

/// What one part says, and how well it says it.
struct Part {
    text: String,
    quality: Quality,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    /// Marked-up text, stripped.
    Stripped,
    /// Text as it was written.
    Plain,
}

fn read_part(kind: &MediaType, body: &[u8], depth: usize) -> Result<Part, Refusal> {
    match kind.name.as_str() {
        "text/plain" => Ok(Part {
            text: clean(charset::decode(kind, body)?),
            quality: Quality::Plain,
        }),
        "text/html" => Ok(Part {
            text: clean(html::strip(&charset::decode(kind, body)?)),
            quality: Quality::Stripped,
        }),
        "multipart/mixed" | "multipart/alternative" if depth < multipart::MAX_DEPTH => {
            multipart::best(kind, body, depth)
        }
        _ => Err(unsupported("This content type is not read here.")),
    }
}

fn unsupported(text: &str) -> Refusal {
    Refusal::new(Reason::UnsupportedMedia).with_text(text)
}

/// CRLF and CR to LF, and what XML cannot carry (XML 1.0 §2.2) to U+FFFD.
fn clean(text: String) -> String {
    let illegal =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if !text.contains(illegal) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut after_return = false;
    for c in text.chars() {
        match c {
            '\r' => clean.push('\n'),
            '\n' if after_return => {}
            c if illegal(c) => clean.push('\u{fffd}'),
            c => clean.push(c),
        }
        after_return = c == '\r';
    }
    clean
}

#[cfg(test)]
mod tests;
