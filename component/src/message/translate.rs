//! `<message/>` and [`Message`] (RFC 7572 §4, §5; specs 2.1).

use super::degrade;
use crate::iq::utc;
use crate::stanza::{Frame, set, set_lang, stanza, text_element};
use crate::xml;
use jid::Jid;
use minidom::Element;
use std::time::{Duration, UNIX_EPOCH};
use tandem_shared::address::{Address, Mapping};
use tandem_shared::message::Message;
use tandem_shared::refusal::{Reason, Refusal};

/// The longest thread that is carried, in bytes; a longer one is dropped.
const THREAD_MAX: usize = 256;
/// The longest subject that is carried, in characters.
const SUBJECT_MAX: usize = 200;
/// The longest language tag (BCP 47), in bytes.
const LANG_MAX: usize = 35;

/// What a stanza says, before it becomes a message with an id and a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Whom it is for.
    pub to: Address,
    /// Who sent it.
    pub from: Address,
    /// Text for a person.
    pub body: String,
    /// Subject, one line.
    pub subject: Option<String>,
    /// Language.
    pub lang: Option<String>,
    /// Thread.
    pub thread: Option<String>,
    /// When it was sent if delayed, in milliseconds since 1970.
    pub sent: Option<i64>,
    /// Whether it may be written to disk (XEP-0334 §4.2).
    pub store: bool,
}

/// Reads a message stanza; nothing when it holds nothing for a person to read.
///
/// # Errors
/// The refusal to answer with.
pub fn from_xmpp(
    frame: &Frame,
    stanza: &Element,
    mapping: &Mapping,
) -> Result<Option<Content>, Refusal> {
    if frame.form == "groupchat" {
        return Err(
            Refusal::new(Reason::ServiceUnavailable).with_text("This address is no group chat.")
        );
    }
    let Some(body) = degrade::readable(stanza)? else {
        return Ok(None);
    };
    let to = match frame.to.node() {
        Some(_) => mapping.contact_from_jid(&frame.to)?,
        // What it understands, and from whom, is known to the SIP side.
        None => mapping.gateway(),
    };
    let from = mapping.user_from_jid(&frame.from)?;
    let lang = crate::stanza::lang(stanza)
        .filter(|lang| is_language(lang))
        .map(str::to_owned);
    Ok(Some(Content {
        to,
        from,
        body,
        subject: child_text(stanza, "subject").map(|text| one_line(&text)),
        lang,
        thread: child_text(stanza, "thread").filter(|text| text.len() <= THREAD_MAX),
        sent: delay(stanza),
        store: !stanza.has_child("no-store", xml::HINTS)
            && !stanza.has_child("no-permanent-store", xml::HINTS),
    }))
}

/// The stanza for a message from SIP, with `id`.
///
/// # Errors
/// When sender or recipient has no JID.
pub fn to_xmpp(message: &Message, id: &str, mapping: &Mapping) -> Result<Element, Refusal> {
    let from = match mapping.is_gateway(&message.from) {
        true => Jid::new(&mapping.domain).map_err(|_| Refusal::new(Reason::ItemNotFound))?,
        false => mapping.contact_to_jid(&message.from.account())?,
    };
    let to = mapping.user_to_jid(&message.to)?;
    let mut element = stanza("message", &from, &to);
    set(&mut element, "type", "chat");
    set(&mut element, "id", id);
    if let Some(lang) = message.lang.as_deref().filter(|lang| is_language(lang)) {
        set_lang(&mut element, lang);
    }
    if let Some(subject) = &message.subject {
        element.append_child(text_element("subject", xml::COMPONENT, &one_line(subject)));
    }
    element.append_child(text_element("body", xml::COMPONENT, &message.body));
    if let Some(thread) = &message.thread {
        element.append_child(text_element("thread", xml::COMPONENT, thread));
    }
    if let Some(replaced) = &message.replaces {
        let mut replace = Element::bare("replace", xml::CORRECT);
        set(&mut replace, "id", &replaced.0);
        element.append_child(replace);
    }
    let mut origin = Element::bare("origin-id", xml::SID);
    set(&mut origin, "id", id);
    element.append_child(origin);
    element.append_child(Element::bare("store", xml::HINTS));
    if let Some(sent) = message.sent.and_then(|ms| u64::try_from(ms).ok()) {
        let mut delay = Element::bare("delay", xml::DELAY);
        set(
            &mut delay,
            "from",
            Jid::from(from.to_bare()).domain().as_str(),
        );
        set(
            &mut delay,
            "stamp",
            &utc(UNIX_EPOCH + Duration::from_millis(sent)),
        );
        element.append_child(delay);
    }
    Ok(element)
}

fn child_text(stanza: &Element, name: &str) -> Option<String> {
    let text = stanza.get_child(name, xml::COMPONENT)?.text();
    Some(text).filter(|text| !text.trim().is_empty())
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(SUBJECT_MAX)
        .collect()
}

fn is_language(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= LANG_MAX
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// XEP-0203: when the stanza was first sent.
fn delay(stanza: &Element) -> Option<i64> {
    let stamp = stanza.get_child("delay", xml::DELAY)?.attr("stamp")?;
    let time: jiff::Timestamp = stamp.parse().ok()?;
    Some(time.as_millisecond())
}

#[cfg(test)]
mod tests;
