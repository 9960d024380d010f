//! The devices of users, as far as their presence tells, and what they can do.
//!
//! A device is asked once for what its capabilities stand for (XEP-0115 §6.2); the answer holds for
//! every device of the same user that shows the same ones. Not for other users: it is not verified,
//! and nobody shall decide how somebody else is called.

use crate::message::recent::Recent;
use crate::stanza::{set, stanza};
use crate::xml;
use jid::{BareJid, Jid};
use minidom::Element;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The way a device is called, or calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// By messages first (XEP-0353): all devices ring.
    Proposed,
    /// By a session outright.
    Direct,
}

/// Users whose devices are known.
const USERS_MAX: usize = 100_000;
/// Devices of a user.
const DEVICES_MAX: usize = 32;
/// Capabilities that are known.
const CAPS_MAX: usize = 100_000;
/// How long they are.
const CAPS_KEEP: Duration = Duration::from_secs(24 * 3600);
/// Questions that wait for an answer.
const ASKED_MAX: usize = 1000;
/// How long they wait.
const ASKED_KEEP: Duration = Duration::from_secs(30);
/// The longest node and string of capabilities, in bytes.
const TEXT_MAX: usize = 512;

/// What a device can do about calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Abilities {
    proposals: bool,
    sessions: bool,
}

#[derive(Debug)]
struct Device {
    caps: Option<String>,
    priority: i8,
}

/// Whom to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// What a device can do is being asked.
    Wait,
    /// Every device, by messages: one of them, or one that is not there now, understands them.
    Propose,
    /// This device, by a session.
    Direct(Jid),
}

/// All devices that are known.
#[derive(Debug)]
pub struct Devices {
    users: HashMap<BareJid, BTreeMap<String, Device>>,
    caps: Recent<Shown, Abilities>,
    /// Questions by their id.
    asked: Recent<String, (Jid, Shown)>,
    /// What is being asked: a device shows itself to every contact of the user's.
    asking: Recent<Shown, ()>,
}

/// Capabilities, and whose device shows them.
type Shown = (BareJid, String);

impl Default for Devices {
    fn default() -> Self {
        Self {
            users: HashMap::new(),
            caps: Recent::new(CAPS_KEEP, CAPS_MAX),
            asked: Recent::new(ASKED_KEEP, ASKED_MAX),
            asking: Recent::new(ASKED_KEEP, ASKED_MAX),
        }
    }
}

impl Devices {
    /// A device shows itself to `contact`. Returns the question to ask it, under `id`, when what it
    /// can do is not known.
    pub fn handle_available(
        &mut self,
        presence: &Element,
        (device, contact): (&Jid, &Jid),
        id: String,
        now: Instant,
    ) -> Option<Element> {
        let resource = device.resource()?.as_str();
        let user = device.to_bare();
        if self.users.len() >= USERS_MAX && !self.users.contains_key(&user) {
            return None;
        }
        let devices = self.users.entry(user.clone()).or_default();
        if devices.len() >= DEVICES_MAX && !devices.contains_key(resource) {
            return None;
        }
        let caps = presence.get_child("c", xml::CAPS).and_then(read_caps);
        let priority = presence.get_child("priority", xml::COMPONENT);
        let priority = priority.and_then(|child| child.text().trim().parse().ok());
        let shown = Device {
            caps: caps.clone(),
            priority: priority.unwrap_or(0),
        };
        devices.insert(resource.to_owned(), shown);
        let shown = (user, caps?);
        if self.caps.get(&shown, now).is_some() || self.asking.get(&shown, now).is_some() {
            return None;
        }
        let mut query = Element::bare("query", xml::DISCO_INFO);
        set(&mut query, "node", &shown.1);
        let mut iq = stanza("iq", contact, device);
        set(&mut iq, "type", "get");
        set(&mut iq, "id", &id);
        iq.append_child(query);
        self.asking.insert(shown.clone(), (), now);
        self.asked.insert(id, (device.clone(), shown), now);
        Some(iq)
    }

    /// A device is gone.
    pub fn handle_unavailable(&mut self, device: &Jid) {
        let user = device.to_bare();
        let Some(devices) = self.users.get_mut(&user) else {
            return;
        };
        match device.resource() {
            Some(resource) => {
                devices.remove(resource.as_str());
            }
            None => devices.clear(),
        }
        if devices.is_empty() {
            self.users.remove(&user);
        }
    }

    /// The stream is gone, and with it the word of who comes and goes.
    pub fn handle_stream_closed(&mut self) {
        self.users.clear();
    }

    /// A device answered, or refused to; true when the question `id` was ours.
    pub fn handle_answer(&mut self, from: &Jid, id: &str, answer: &Element, now: Instant) -> bool {
        let id = id.to_owned();
        let asked = self
            .asked
            .get(&id, now)
            .filter(|(device, _)| device == from);
        let Some((_, shown)) = asked.cloned() else {
            return false;
        };
        self.asked.remove(&id);
        self.asking.remove(&shown);
        if answer.attr("type") == Some("error") {
            return true;
        }
        let query = answer.get_child("query", xml::DISCO_INFO);
        let has = |feature: &str| {
            let is =
                |child: &Element| child.name() == "feature" && child.attr("var") == Some(feature);
            query.is_some_and(|query| query.children().any(is))
        };
        let session = [
            xml::JINGLE,
            xml::RTP,
            xml::RTP_AUDIO,
            xml::ICE_UDP,
            xml::DTLS,
        ];
        let abilities = Abilities {
            proposals: has(xml::JINGLE_MESSAGE),
            sessions: session.into_iter().all(has),
        };
        self.caps.insert(shown, abilities, now);
        true
    }

    /// Whom to call to reach `user`; only its one device where it names one.
    pub fn choose(&mut self, user: &Jid, now: Instant) -> Choice {
        let named = user.resource().map(|resource| resource.as_str());
        let account = user.to_bare();
        let Some(devices) = self.users.get(&account) else {
            return Choice::Propose;
        };
        let mut best: Option<(i8, &str)> = None;
        let mut waits = false;
        for (resource, device) in devices {
            if named.is_some_and(|named| named != resource) {
                continue;
            }
            // Without capabilities a device says that it has none.
            let Some(caps) = &device.caps else { continue };
            match self.caps.get(&(account.clone(), caps.clone()), now) {
                None => waits = true,
                Some(abilities) if abilities.proposals => return Choice::Propose,
                Some(abilities) => {
                    let better = best.is_none_or(|(priority, _)| device.priority > priority);
                    if abilities.sessions && better {
                        best = Some((device.priority, resource));
                    }
                }
            }
        }
        if waits {
            return Choice::Wait;
        }
        best.and_then(|(_, resource)| account.with_resource_str(resource).ok())
            .map_or(Choice::Propose, |device| Choice::Direct(device.into()))
    }
}

fn read_caps(caps: &Element) -> Option<String> {
    let node = caps.attr("node")?;
    let ver = caps.attr("ver")?;
    (node.len() + ver.len() < TEXT_MAX).then(|| format!("{node}#{ver}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    const SESSION: [&str; 5] = [
        xml::JINGLE,
        xml::RTP,
        xml::RTP_AUDIO,
        xml::ICE_UDP,
        xml::DTLS,
    ];

    struct Bench {
        devices: Devices,
        now: Instant,
        asked: u32,
    }

    impl Bench {
        fn new() -> Self {
            let devices = Devices::default();
            Self {
                devices,
                now: now(),
                asked: 0,
            }
        }

        /// Presence of a device with the capabilities `ver`; the id of the question it leads to.
        fn show(&mut self, resource: &str, ver: &str, priority: i8) -> Option<String> {
            let text = format!(
                "<presence xmlns='jabber:component:accept'><priority>{priority}</priority>\
                 <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/></presence>"
            );
            self.asked += 1;
            let id = self.asked.to_string();
            let ends = (
                &device(resource),
                &Jid::new("+1@sip.example.com/sip").unwrap(),
            );
            let asked = self.devices.handle_available(
                &text.parse().unwrap(),
                ends,
                id.clone(),
                self.now,
            )?;
            let node = asked
                .get_child("query", xml::DISCO_INFO)
                .unwrap()
                .attr("node");
            assert_eq!(node, Some(&*format!("n#{ver}")));
            Some(id)
        }

        fn answer(&mut self, resource: &str, id: &str, features: &[&str]) -> bool {
            let features: String = features
                .iter()
                .map(|var| format!("<feature var='{var}'/>"))
                .collect();
            let text = format!(
                "<iq xmlns='jabber:component:accept'><query xmlns='http://jabber.org/protocol/disco#info'>{features}</query></iq>"
            );
            let answer = text.parse().unwrap();
            self.devices
                .handle_answer(&device(resource), id, &answer, self.now)
        }

        fn choose(&mut self, user: &str) -> Choice {
            self.devices.choose(&Jid::new(user).unwrap(), self.now)
        }
    }

    fn device(resource: &str) -> Jid {
        Jid::new(&format!("juliet@example.com/{resource}")).unwrap()
    }

    #[test]
    fn nobody_known_is_called_by_messages() {
        assert_eq!(Bench::new().choose("juliet@example.com"), Choice::Propose);
    }

    #[test]
    fn a_device_that_only_knows_sessions_is_called_outright() {
        let mut bench = Bench::new();
        let id = bench.show("web", "w", 0).unwrap();
        assert_eq!(bench.choose("juliet@example.com"), Choice::Wait);
        assert!(
            !bench.answer("other", &id, &SESSION),
            "only who was asked answers"
        );
        assert!(bench.answer("web", &id, &SESSION));
        assert_eq!(
            bench.choose("juliet@example.com"),
            Choice::Direct(device("web"))
        );
        assert_eq!(
            bench.show("web2", "w", 5),
            None,
            "the same capabilities are known"
        );
        let other = Jid::new("romeo@example.com/web").unwrap();
        let contact = Jid::new("+1@sip.example.com/sip").unwrap();
        let presence = "<presence xmlns='jabber:component:accept'>\
            <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='w'/></presence>";
        let presence = presence.parse().unwrap();
        let mut is_asked = |id: &str| {
            let ends = (&other, &contact);
            let asked = bench
                .devices
                .handle_available(&presence, ends, id.into(), bench.now);
            asked.is_some()
        };
        assert!(is_asked("x"), "those of somebody else are not");
        assert!(!is_asked("y"), "being asked once is enough");
        assert_eq!(
            bench.choose("juliet@example.com"),
            Choice::Direct(device("web2"))
        );
        assert_eq!(
            bench.choose("juliet@example.com/web"),
            Choice::Direct(device("web"))
        );
        bench.devices.handle_unavailable(&device("web2"));
        bench.devices.handle_unavailable(&device("web"));
        assert_eq!(bench.choose("juliet@example.com"), Choice::Propose);
        assert!(!bench.devices.users.contains_key(&device("web").to_bare()));
    }

    #[test]
    fn one_device_that_knows_messages_has_all_called_so() {
        let mut bench = Bench::new();
        let id = bench.show("web", "w", 9).unwrap();
        bench.answer("web", &id, &SESSION);
        let id = bench.show("phone", "p", 0).unwrap();
        bench.answer("phone", &id, &[xml::JINGLE_MESSAGE]);
        assert_eq!(bench.choose("juliet@example.com"), Choice::Propose);
    }

    #[test]
    fn who_cannot_call_at_all_is_passed_over() {
        let mut bench = Bench::new();
        let id = bench.show("text", "t", 0).unwrap();
        bench.answer("text", &id, &[xml::JINGLE]);
        assert_eq!(bench.choose("juliet@example.com"), Choice::Propose);
    }
}
