//! Bodies of several parts (RFC 2046 §5.1): the part that says it best is the text, and one among them
//! may be a description.

use tandem_shared::refusal::Refusal;

use super::media_type::MediaType;
use super::{Part, Quality, read_part, unsupported};
use crate::sip::Headers;
use crate::sip::header::Name;

/// How deep parts may hold parts.
pub(super) const MAX_DEPTH: usize = 3;
/// How many parts of one body are looked at.
const MAX_PARTS: usize = 16;

/// The first plain text among the parts, or else the first text of any kind.
pub(super) fn best(kind: &MediaType, body: &[u8], depth: usize) -> Result<Part, Refusal> {
    let delimiter =
        delimiter(kind).ok_or_else(|| unsupported("The body's parts have no boundary."))?;
    let mut best: Option<Part> = None;
    for part in parts(body, delimiter.as_bytes()).take(MAX_PARTS) {
        let Ok(part) = read(part, depth) else {
            continue;
        };
        if best
            .as_ref()
            .is_none_or(|other| part.quality > other.quality)
        {
            best = Some(part);
        }
        if best
            .as_ref()
            .is_some_and(|part| part.quality == Quality::Plain)
        {
            break;
        }
    }
    best.ok_or_else(|| unsupported("No part of the body is text."))
}

/// The first part of the type `wanted` in a body of the type `kind`, which may be it itself.
pub(super) fn part<'a>(kind: &str, body: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    part_within(&MediaType::parse(kind)?, body, wanted, 0)
}

fn part_within<'a>(
    kind: &MediaType,
    body: &'a [u8],
    wanted: &str,
    depth: usize,
) -> Option<&'a [u8]> {
    if kind.name == wanted {
        return Some(body);
    }
    if !kind.name.starts_with("multipart/") || depth == MAX_DEPTH {
        return None;
    }
    let delimiter = delimiter(kind)?;
    let mut parts = parts(body, delimiter.as_bytes()).take(MAX_PARTS);
    parts.find_map(|part| {
        let (headers, body) = open(part);
        let kind = MediaType::parse(headers.get(Name::ContentType)?)?;
        let inside = part_within(&kind, body, wanted, depth + 1)?;
        is_plain(&headers).then_some(inside)
    })
}

/// What stands before every part.
fn delimiter(kind: &MediaType) -> Option<String> {
    let boundary = kind.params.get("boundary")?;
    let fits = (1..=70).contains(&boundary.len());
    fits.then(|| format!("--{boundary}"))
}

/// Whether the bytes of a part are what it says.
fn is_plain(headers: &Headers) -> bool {
    let coding = headers.get("Content-Transfer-Encoding").unwrap_or("binary");
    let mut known = ["7bit", "8bit", "binary"].iter();
    known.any(|known| coding.eq_ignore_ascii_case(known))
}

/// The head of a part and what follows it.
fn open(part: &[u8]) -> (Headers, &[u8]) {
    let (head, body) = split_head(part);
    let mut headers = Headers::new();
    for line in String::from_utf8_lossy(head).lines() {
        if let Some((name, value)) = line.split_once(':') {
            headers.push(name.trim(), value);
        }
    }
    (headers, body)
}

fn read(part: &[u8], depth: usize) -> Result<Part, Refusal> {
    let (headers, body) = open(part);
    if !is_plain(&headers) {
        return Err(unsupported("Encoded parts are not read here."));
    }
    let kind = headers.get(Name::ContentType).unwrap_or("text/plain");
    let kind =
        MediaType::parse(kind).ok_or_else(|| unsupported("The content type is not valid."))?;
    read_part(&kind, body, depth + 1)
}

fn split_head(part: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = part
        .strip_prefix(b"\r\n")
        .or_else(|| part.strip_prefix(b"\n"))
    {
        return (&[], body);
    }
    for gap in [&b"\r\n\r\n"[..], b"\n\n"] {
        if let Some(at) = find(part, gap) {
            let (head, rest) = part.split_at(at);
            return (head, rest.get(gap.len()..).unwrap_or_default());
        }
    }
    (part, &[])
}

/// What stands between delimiter lines; preamble and epilogue left out.
fn parts<'a>(body: &'a [u8], delimiter: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = next_delimiter(body, delimiter).map(|(_, after)| after);
    std::iter::from_fn(move || {
        let part = rest?;
        if part.starts_with(b"--") {
            return None;
        }
        let line_end = find(part, b"\n")?;
        let part = part.get(line_end + 1..)?;
        let (inside, after) = match next_delimiter(part, delimiter) {
            Some((inside, after)) => (inside, Some(after)),
            None => (part, None),
        };
        rest = after;
        Some(inside)
    })
}

/// The bytes before the next delimiter at the start of a line, without that line end, and after it.
fn next_delimiter<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + find(bytes.get(from..)?, delimiter)?;
        let (before, rest) = bytes.split_at_checked(at)?;
        if before.is_empty() || before.ends_with(b"\n") {
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            let before = before.strip_suffix(b"\r").unwrap_or(before);
            return Some((before, rest.get(delimiter.len()..)?));
        }
        from = at + delimiter.len();
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}
