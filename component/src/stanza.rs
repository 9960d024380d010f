//! Stanzas: reading their frame and building replies (RFC 6120 §8).

use crate::refusal::Defined;
use crate::xml;
use jid::Jid;
use minidom::Element;

/// The three kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `<message/>`
    Message,
    /// `<presence/>`
    Presence,
    /// `<iq/>`
    Iq,
}

/// The frame of a stanza: who, to whom, what kind of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Which of the three.
    pub kind: Kind,
    /// Who sent it.
    pub from: Jid,
    /// Whom it was sent to, exactly as addressed.
    pub to: Jid,
    /// The attribute `type`, empty when absent.
    pub form: String,
    /// The attribute `id`.
    pub id: Option<String>,
}

impl Frame {
    /// Reads the frame of `stanza`; nothing for other elements and for stanzas without valid
    /// addresses, which a server never hands to a component (XEP-0114 §3).
    #[must_use]
    pub fn read(stanza: &Element) -> Option<Self> {
        let kind = match stanza.name() {
            "message" => Kind::Message,
            "presence" => Kind::Presence,
            "iq" => Kind::Iq,
            _ => return None,
        };
        if !stanza.has_ns(xml::COMPONENT) {
            return None;
        }
        Some(Self {
            kind,
            from: Jid::new(stanza.attr("from")?).ok()?,
            to: Jid::new(stanza.attr("to")?).ok()?,
            form: stanza.attr("type").unwrap_or_default().to_owned(),
            id: stanza.attr("id").map(str::to_owned),
        })
    }

    /// Whether an error may be sent in answer: never to an error, and to an iq only when it asks
    /// for something (RFC 6120 §8.3.1).
    #[must_use]
    pub fn may_be_refused(&self) -> bool {
        match self.kind {
            Kind::Message | Kind::Presence => self.form != "error",
            Kind::Iq => matches!(self.form.as_str(), "get" | "set"),
        }
    }

    /// The error stanza that answers this one.
    #[must_use]
    pub fn refuse(&self, error: &Defined) -> Element {
        let mut reply = self.reply("error");
        reply.append_child(error.to_element());
        reply
    }

    /// The empty `result` of an iq.
    #[must_use]
    pub fn result(&self) -> Element {
        self.reply("result")
    }

    /// The `result` of an iq with `payload`.
    #[must_use]
    pub fn result_with(&self, payload: Element) -> Element {
        let mut reply = self.result();
        reply.append_child(payload);
        reply
    }

    fn reply(&self, form: &str) -> Element {
        let name = match self.kind {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        };
        let mut reply = stanza(name, &self.to, &self.from);
        set(&mut reply, "type", form);
        if let Some(id) = &self.id {
            set(&mut reply, "id", id);
        }
        reply
    }
}

/// An empty stanza.
#[must_use]
pub fn stanza(name: &str, from: &Jid, to: &Jid) -> Element {
    let mut stanza = Element::bare(name, xml::COMPONENT);
    set(&mut stanza, "from", from.as_str());
    set(&mut stanza, "to", to.as_str());
    stanza
}

/// Sets an attribute without a namespace; characters that XML cannot carry are replaced.
pub fn set(element: &mut Element, name: &str, value: &str) {
    if let Ok(name) = name.try_into() {
        element.set_attr(rxml::Namespace::NONE, name, xml::clean(value));
    }
}

/// Sets `xml:lang`.
pub fn set_lang(element: &mut Element, lang: &str) {
    if let Ok(name) = "lang".try_into() {
        element.set_attr(rxml::Namespace::xml().clone(), name, xml::clean(lang));
    }
}

/// `xml:lang` of an element.
#[must_use]
pub fn lang(element: &Element) -> Option<&str> {
    element.attr_ns(xml::XML, "lang")
}

/// A child that holds only text; characters that XML cannot carry are replaced.
#[must_use]
pub fn text_element(name: &str, namespace: &str, text: &str) -> Element {
    let mut element = Element::bare(name, namespace);
    element.append_text(xml::clean(text));
    element
}
