//! The presence a contact needs to be usable (specs 9.5; the heart of checklist U04).
//!
//! Every contact is there for whoever asked to see it: asking is granted at once, and asked back,
//! so that the user's presence reaches the gateway too. Pairs of watcher and contact are stored.

use crate::caps;
use crate::disco::Entity;
use crate::stanza::{Frame, set, stanza};
use jid::{BareJid, Jid};
use minidom::Element;
use std::collections::{HashMap, HashSet, VecDeque};
use tandem_shared::address::Mapping;

/// The resource under which a contact is available.
pub const RESOURCE: &str = "sip";
/// The most pairs one user can have stored.
pub const PER_WATCHER_MAX: usize = 10_000;

/// A user and the contact, or the gateway itself, whose presence the user sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// The XMPP user.
    pub watcher: BareJid,
    /// The contact.
    pub contact: BareJid,
}

/// What a presence stanza leads to.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Stanzas to send, in order.
    pub send: Vec<Element>,
    /// A pair to remember.
    pub store: Option<Pair>,
    /// A pair to forget.
    pub forget: Option<Pair>,
}

/// All pairs.
#[derive(Debug, Default)]
pub struct Pairs {
    known: HashSet<Pair>,
    per_watcher: HashMap<BareJid, usize>,
    announce: VecDeque<Pair>,
}

impl Pairs {
    /// Takes a pair the store held.
    pub fn restore(&mut self, pair: Pair) {
        self.insert(pair);
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether `watcher` sees `contact`, because it asked to.
    #[must_use]
    pub fn sees(&self, watcher: &Jid, contact: &Jid) -> bool {
        self.known.contains(&Pair {
            watcher: watcher.to_bare(),
            contact: contact.to_bare(),
        })
    }

    /// Answers the presence stanza `frame`, from a user the gateway serves.
    pub fn handle(&mut self, frame: &Frame, mapping: &Mapping) -> Answer {
        let pair = Pair {
            watcher: frame.from.to_bare(),
            contact: frame.to.to_bare(),
        };
        let exists = pair.contact.node().is_none() || mapping.contact_from_jid(&frame.to).is_ok();
        match frame.form.as_str() {
            "subscribe" if exists => self.handle_subscribe(pair),
            "subscribe" => Answer {
                send: vec![presence(&pair, Some("unsubscribed"))],
                ..Answer::default()
            },
            "probe" if exists => Answer {
                send: vec![presence(&pair, None)],
                store: self.insert(pair.clone()).then_some(pair),
                ..Answer::default()
            },
            "unsubscribe" => self.handle_unsubscribe(pair),
            _ => Answer::default(),
        }
    }

    /// A stream is open: everybody is to be told again.
    pub fn announce_all(&mut self) {
        self.announce = self.known.iter().cloned().collect();
    }

    /// The next `max` presences of [`Pairs::announce_all`].
    pub fn poll_announcements(&mut self, max: usize) -> Vec<Element> {
        let count = max.min(self.announce.len());
        let announced = self.announce.drain(..count);
        announced
            .filter(|pair| self.known.contains(pair))
            .flat_map(|pair| {
                // Which devices a user has is forgotten with the stream.
                let asks = pair.contact.node().is_some();
                let probe = asks.then(|| presence(&pair, Some("probe")));
                [Some(presence(&pair, None)), probe]
            })
            .flatten()
            .collect()
    }

    /// Whether announcements are left.
    #[must_use]
    pub fn is_announcing(&self) -> bool {
        !self.announce.is_empty()
    }

    /// The stanzas that take all contacts away, at an orderly end.
    #[must_use]
    pub fn farewell(&self, max: usize) -> Vec<Element> {
        let mut pairs: Vec<&Pair> = self.known.iter().collect();
        pairs.sort();
        pairs.truncate(max);
        pairs
            .into_iter()
            .map(|pair| presence(pair, Some("unavailable")))
            .collect()
    }

    fn handle_subscribe(&mut self, pair: Pair) -> Answer {
        if self.per_watcher.get(&pair.watcher).copied().unwrap_or(0) >= PER_WATCHER_MAX {
            return Answer {
                send: vec![presence(&pair, Some("unsubscribed"))],
                ..Answer::default()
            };
        }
        // `subscribed` goes first: clients ignore presence they have no subscription to yet.
        let send = vec![
            presence(&pair, Some("subscribed")),
            presence(&pair, None),
            presence(&pair, Some("subscribe")),
        ];
        Answer {
            send,
            store: self.insert(pair.clone()).then_some(pair),
            forget: None,
        }
    }

    fn handle_unsubscribe(&mut self, pair: Pair) -> Answer {
        if !self.remove(&pair) {
            return Answer::default();
        }
        Answer {
            send: vec![
                presence(&pair, Some("unavailable")),
                presence(&pair, Some("unsubscribed")),
                presence(&pair, Some("unsubscribe")),
            ],
            store: None,
            forget: Some(pair),
        }
    }

    fn insert(&mut self, pair: Pair) -> bool {
        let watcher = pair.watcher.clone();
        let count = self.per_watcher.entry(watcher).or_default();
        let new = *count < PER_WATCHER_MAX && self.known.insert(pair);
        *count += usize::from(new);
        new
    }

    fn remove(&mut self, pair: &Pair) -> bool {
        let was = self.known.remove(pair);
        if was && let Some(count) = self.per_watcher.get_mut(&pair.watcher) {
            *count -= 1;
            if *count == 0 {
                self.per_watcher.remove(&pair.watcher);
            }
        }
        was
    }
}

/// A presence of `form` (available when absent) from the pair's contact to its watcher.
/// Availability comes from a resource, everything about the subscription from the bare JID.
fn presence(pair: &Pair, form: Option<&str>) -> Element {
    let bare = Jid::from(pair.contact.clone());
    let from = match form {
        None | Some("unavailable") if pair.contact.node().is_some() => pair
            .contact
            .with_resource_str(RESOURCE)
            .map_or(bare, Jid::from),
        _ => bare,
    };
    let mut presence = stanza("presence", &from, &Jid::from(pair.watcher.clone()));
    match form {
        Some(form) => set(&mut presence, "type", form),
        None => {
            let entity = match pair.contact.node() {
                Some(_) => Entity::Device,
                None => Entity::Gateway,
            };
            presence.append_child(caps::element(entity));
        }
    }
    presence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Kind;

    fn frame(form: &str, to: &str) -> Frame {
        Frame {
            kind: Kind::Presence,
            from: Jid::new("juliet@example.com/balcony").unwrap(),
            to: Jid::new(to).unwrap(),
            form: form.into(),
            id: None,
        }
    }

    fn mapping() -> Mapping {
        Mapping {
            domain: "sip.example.com".into(),
            user_domains: Vec::new(),
        }
        .normalised()
        .unwrap()
    }

    fn forms(send: &[Element]) -> Vec<(&str, &str)> {
        let one = |presence| -> (&str, &str) {
            let presence: &Element = presence;
            (
                presence.attr("type").unwrap_or("available"),
                presence.attr("from").unwrap_or_default(),
            )
        };
        send.iter().map(one).collect()
    }

    #[test]
    fn a_subscription_is_granted_shown_and_asked_back() {
        let mut pairs = Pairs::default();
        let contact = "+15551234567@sip.example.com";
        let answer = pairs.handle(&frame("subscribe", contact), &mapping());
        assert_eq!(
            forms(&answer.send),
            [
                ("subscribed", contact),
                ("available", "+15551234567@sip.example.com/sip"),
                ("subscribe", contact),
            ]
        );
        assert!(answer.store.is_some());
        let again = pairs.handle(&frame("subscribe", contact), &mapping());
        assert_eq!((again.send.len(), again.store), (3, None));
    }

    #[test]
    fn probes_and_a_new_stream_are_answered_with_available() {
        let mut pairs = Pairs::default();
        let answer = pairs.handle(&frame("probe", "sip.example.com"), &mapping());
        assert_eq!(forms(&answer.send), [("available", "sip.example.com")]);
        pairs.announce_all();
        assert_eq!(pairs.poll_announcements(10).len(), 1);
        assert!(!pairs.is_announcing());
    }

    #[test]
    fn unsubscribing_ends_it_once() {
        let mut pairs = Pairs::default();
        let contact = "1234@sip.example.com";
        pairs.handle(&frame("subscribe", contact), &mapping());
        let answer = pairs.handle(&frame("unsubscribe", contact), &mapping());
        assert_eq!(
            forms(&answer.send)[0],
            ("unavailable", "1234@sip.example.com/sip")
        );
        assert!(answer.forget.is_some() && pairs.is_empty());
        assert_eq!(
            pairs.handle(&frame("unsubscribe", contact), &mapping()),
            Answer::default()
        );
    }

    #[test]
    fn nobody_is_not_there() {
        let mut pairs = Pairs::default();
        let answer = pairs.handle(&frame("subscribe", r"a\40@sip.example.com"), &mapping());
        assert_eq!(forms(&answer.send)[0].0, "unsubscribed");
        assert!(pairs.is_empty());
    }
}
