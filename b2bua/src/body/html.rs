//! Marked-up text as plain text (RFC 7572 §8: peers may send text/html).
//!
//! No markup comes through: tags, comments and everything between script, style or head tags fall
//! away, and references are decoded last, so that no tag can be made of them.

/// The readable text of an HTML fragment.
pub(super) fn strip(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        push_text(&mut text, before);
        rest = skip_tag(tag, &mut text);
    }
    push_text(&mut text, rest);
    text.trim().to_owned()
}

/// Passes over the tag at the start of `tag`, with what it hides.
fn skip_tag<'a>(tag: &'a str, text: &mut String) -> &'a str {
    if let Some(comment) = tag.strip_prefix("<!--") {
        return comment.split_once("-->").map_or("", |(_, rest)| rest);
    }
    let begins = tag.get(1..2).unwrap_or_default();
    if !begins.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        text.push('<');
        return tag.get(1..).unwrap_or_default();
    }
    let Some((inside, rest)) = tag.split_once('>') else {
        return "";
    };
    let name = inside.trim_start_matches(['<', '/']);
    let end = name
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default().to_ascii_lowercase();
    if HIDDEN.contains(&name.as_str()) && !inside.starts_with("</") {
        return skip_element(rest, &name);
    }
    let closes = inside.starts_with("</");
    if name == "br" || (closes && BLOCKS.contains(&name.as_str())) {
        while text.ends_with(' ') {
            text.pop();
        }
        text.push('\n');
    }
    rest
}

/// The text after the closing tag of `name`; nothing when it never closes.
fn skip_element<'a>(mut rest: &'a str, name: &str) -> &'a str {
    while let Some((_, after)) = rest.split_once("</") {
        let found = after
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name));
        rest = after;
        if found {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

/// Appends text with white space collapsed and references decoded.
fn push_text(text: &mut String, mut raw: &str) {
    while let Some(first) = raw.chars().next() {
        if first == '&'
            && let Some((decoded, rest)) = reference(raw)
        {
            text.push(decoded);
            raw = rest;
            continue;
        }
        match first {
            c if c.is_ascii_whitespace() => {
                if !text.ends_with([' ', '\n']) && !text.is_empty() {
                    text.push(' ');
                }
            }
            c => text.push(c),
        }
        raw = raw.get(first.len_utf8()..).unwrap_or_default();
    }
}

/// The character reference at the start of `raw`, and what follows it.
fn reference(raw: &str) -> Option<(char, &str)> {
    let (name, rest) = raw.strip_prefix('&')?.split_once(';')?;
    if name.len() > 8 {
        return None;
    }
    let decoded = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((decoded, rest))
}

/// Elements whose content is not for people.
const HIDDEN: [&str; 5] = ["script", "style", "head", "title", "template"];
/// Elements that end a line.
const BLOCKS: [&str; 12] = [
    "p",
    "div",
    "li",
    "tr",
    "ul",
    "ol",
    "blockquote",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
];
