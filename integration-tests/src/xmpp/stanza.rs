//! A received stanza as a plain tree, made by the driver's own XML parser.
//!
//! Invariant: what is absent reads as the empty string, so that conditions need no unwrapping.

use std::collections::BTreeMap;

use serde_json::Value;

/// An element: a stanza or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stanza {
    /// Local name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Attributes; those with a namespace are named `{namespace}name`.
    pub attributes: BTreeMap<String, String>,
    /// The text before the first child.
    pub text: String,
    /// Child elements.
    pub children: Vec<Stanza>,
    /// The whole as XML (stanzas only; prefixes may differ from the wire).
    pub xml: String,
}

impl Stanza {
    pub(super) fn from_json(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let attributes = value["attributes"].as_object().into_iter().flatten();
        Self {
            name: text("name"),
            namespace: text("namespace"),
            attributes: attributes
                .map(|(name, v)| (name.clone(), v.as_str().unwrap_or_default().to_owned()))
                .collect(),
            text: text("text"),
            children: value["children"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Self::from_json)
                .collect(),
            xml: String::new(),
        }
    }

    /// The stanza of an event, if the event is one.
    pub(crate) fn from_event(event: &Value) -> Option<Self> {
        event.get("stanza").map(|tree| Self {
            xml: event["xml"].as_str().unwrap_or_default().to_owned(),
            ..Self::from_json(tree)
        })
    }

    /// The value of the attribute `name`.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// The sender.
    pub fn from(&self) -> &str {
        self.attribute("from")
    }

    /// The addressee.
    pub fn to(&self) -> &str {
        self.attribute("to")
    }

    /// The id.
    pub fn id(&self) -> &str {
        self.attribute("id")
    }

    /// The `type` attribute.
    pub fn kind(&self) -> &str {
        self.attribute("type")
    }

    /// The first child with this name, in any namespace.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first child with this name and namespace.
    pub fn child_in(&self, name: &str, namespace: &str) -> Option<&Self> {
        self.children
            .iter()
            .find(|child| child.name == name && child.namespace == namespace)
    }

    /// Whether an element of this namespace is a child, or below one.
    pub fn mentions(&self, namespace: &str) -> bool {
        self.children
            .iter()
            .any(|child| child.namespace == namespace || child.mentions(namespace))
    }

    /// The text of the `<body/>`.
    pub fn body(&self) -> Option<&str> {
        self.child("body").map(|body| body.text.as_str())
    }

    /// The condition of a stanza error (RFC 6120 §8.3.3), such as `item-not-found`.
    pub fn condition(&self) -> &str {
        let error = self
            .child("error")
            .into_iter()
            .flat_map(|error| &error.children);
        error
            .filter(|child| child.namespace == STANZA_ERRORS && child.name != "text")
            .map(|child| child.name.as_str())
            .next()
            .unwrap_or("")
    }

    /// The `type` of a stanza error: `cancel`, `wait`, `modify`, `auth`.
    pub fn error_kind(&self) -> &str {
        self.child("error").map_or("", Self::kind)
    }

    /// The words in a stanza error.
    pub fn error_text(&self) -> &str {
        self.child("error")
            .and_then(|error| error.child_in("text", STANZA_ERRORS))
            .map_or("", |text| text.text.as_str())
    }
}

/// Text as XML content or attribute value.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_an_error() {
        let stanza = Stanza::from_json(&json!({
            "name": "message", "namespace": "jabber:client", "attributes": { "type": "error", "id": "a" }, "text": "",
            "children": [
                { "name": "body", "namespace": "jabber:client", "attributes": {}, "text": "hi", "children": [] },
                { "name": "error", "namespace": "jabber:client", "attributes": { "type": "cancel" }, "text": "",
                  "children": [
                    { "name": "text", "namespace": STANZA_ERRORS, "attributes": {}, "text": "gone", "children": [] },
                    { "name": "item-not-found", "namespace": STANZA_ERRORS, "attributes": {}, "text": "", "children": [] },
                  ] },
            ],
        }));
        assert_eq!(
            (stanza.body(), stanza.id(), stanza.from()),
            (Some("hi"), "a", "")
        );
        assert_eq!(
            (stanza.condition(), stanza.error_kind(), stanza.error_text()),
            ("item-not-found", "cancel", "gone")
        );
    }
}
