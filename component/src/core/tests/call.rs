//! Whole calls: stanzas and facts in, stanzas and facts out.

use super::*;
use tandem_shared::call::{
    CallEvent, CallId, Describe, Dtmf, End, EndReason, Fact, Offer, Ready, Role,
};
use tandem_shared::media::{
    Candidate, CandidateKind, Codec, Description, Direction, Dtls, IceCredentials, Media, Setup,
    Stream, Transport, Trickle,
};

mod active;
mod crossing;
mod errors;
mod from_sip;
mod from_user;
mod full;
mod pictures;
mod repeats;
mod restart;
mod strangers;
mod timers;

const USER: &str = "juliet@example.com/phone";
const SID: &str = "ca3cf894-5325-482f-a412-a6e9f832298d";
const CALL: &str = "9d2f1a30-0000-4000-8000-000000000001";
const FULL: &str = "+15551234567@sip.example.com/sip";

const CONTENT: &str = "<content creator='initiator' name='0'>\
    <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
    <payload-type id='111' name='opus' clockrate='48000' channels='2'/><rtcp-mux/></description>\
    <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='uuuu' pwd='pppppppppppppppppppppp'>\
    <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>AA:BB</fingerprint>\
    </transport></content>";

/// What a round led to: stanzas in short, and facts.
#[derive(Debug, Default)]
struct Round {
    actions: Vec<Action>,
}

impl Round {
    /// Stanzas but for pings, as `name[type] to: what[more]`.
    fn said(&self) -> Vec<String> {
        let said = self
            .actions
            .iter()
            .filter(|action| ping_id(action).is_none());
        said.filter_map(|action| match action {
            Action::Send(stanza) => Some(short(stanza)),
            _ => None,
        })
        .collect()
    }

    fn facts(&self) -> Vec<Fact> {
        self.events().into_iter().map(|event| event.fact).collect()
    }

    fn events(&self) -> Vec<CallEvent> {
        let event = |envelope: &Envelope| match &envelope.event {
            Event::Call(event) => Some((**event).clone()),
            _ => None,
        };
        published(&self.actions)
            .into_iter()
            .filter_map(event)
            .collect()
    }

    /// The call of the only fact.
    fn call(&self) -> CallId {
        let [event] = &self.events()[..] else {
            panic!("{self:?}");
        };
        event.call.clone()
    }

    fn end(&self) -> EndReason {
        match &self.facts()[..] {
            [Fact::End(end)] => end.reason,
            other => panic!("{other:?}"),
        }
    }

    fn described(&self) -> Describe {
        match &self.facts()[..] {
            [Fact::Describe(describe)] => (**describe).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn stanza(&self, what: &str) -> &Element {
        let is = |stanza: &&Element| stanza.children().any(|child| child.name() == what);
        all(&self.actions)
            .into_iter()
            .find(is)
            .unwrap_or_else(|| panic!("no {what}: {self:?}"))
    }

    fn jingle(&self) -> &Element {
        self.stanza("jingle")
            .get_child("jingle", crate::xml::JINGLE)
            .unwrap()
    }
}

fn all(actions: &[Action]) -> Vec<&Element> {
    fn stanza(action: &Action) -> Option<&Element> {
        match action {
            Action::Send(stanza) => Some(stanza),
            _ => None,
        }
    }
    actions.iter().filter_map(stanza).collect()
}

fn short(stanza: &Element) -> String {
    let to = stanza.attr("to").unwrap_or_default();
    let to = to.strip_prefix("juliet@example.com").unwrap_or(to);
    let what = stanza
        .children()
        .next()
        .map_or_else(String::new, |child| match child.name() {
            "jingle" => {
                let inside = child.children().next();
                format!(
                    "{}{}",
                    child.attr("action").unwrap(),
                    inside.map_or_else(String::new, within)
                )
            }
            "error" => {
                let names: Vec<_> = child
                    .children()
                    .map(|child| child.name().to_owned())
                    .collect();
                names.join("+")
            }
            name => format!(
                "{name}{}",
                child.children().next().map_or_else(String::new, within)
            ),
        });
    let form = stanza
        .attr("type")
        .filter(|form| !matches!(*form, "chat" | "set"));
    let name = stanza.name();
    match form {
        Some("result") => format!("{name} {to}: result"),
        _ => format!("{name} {to}: {what}"),
    }
}

/// What stands inside a word: its reason's condition, or the name of the first child.
fn within(child: &Element) -> String {
    match child.name() {
        "reason" => {
            let condition = child.children().next().map_or("", Element::name);
            format!("({condition})")
        }
        name => format!("({name})"),
    }
}

impl Bench {
    /// One whose user sees the presence of everybody who calls or is called here.
    fn befriended() -> Self {
        let mut bench = Self::open();
        for contact in [
            CONTACT,
            "+15550000000@sip.example.com",
            "zoe@sip.example.com",
        ] {
            let pair = crate::presence::Pair {
                watcher: USER.parse::<Jid>().unwrap().to_bare(),
                contact: contact.parse().unwrap(),
            };
            bench.core.restore(vec![Record::Pair(pair)], bench.now);
        }
        bench
    }

    fn round(&mut self) -> Round {
        let actions = self.drain();
        Round { actions }
    }

    /// The user says something to the contact's bare JID.
    fn message_from(&mut self, from: &str, to: &str, id: &str, inside: &str) -> Round {
        self.stanza(&format!(
            "<message from='{from}' to='{to}' id='{id}' type='chat'>{inside}</message>"
        ));
        self.round()
    }

    fn jmi(&mut self, from: &str, to: &str, word: &str, inside: &str) -> Round {
        let word =
            format!("<{word} xmlns='urn:xmpp:jingle-message:0' id='{SID}'>{inside}</{word}>");
        self.message_from(from, to, "m1", &word)
    }

    /// The called user's device says `word` about SIP's call.
    fn answer(&mut self, from: &str, word: &str, inside: &str) -> Round {
        let word =
            format!("<{word} xmlns='urn:xmpp:jingle-message:0' id='{CALL}'>{inside}</{word}>");
        self.message_from(from, FULL, "m1", &word)
    }

    fn jingle_as(
        &mut self,
        (from, to): (&str, &str),
        sid: &str,
        action: &str,
        inside: &str,
    ) -> Round {
        self.stanza(&format!(
            "<iq from='{from}' to='{to}' id='i1' type='set'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{inside}</jingle></iq>"
        ));
        self.round()
    }

    fn jingle(&mut self, sid: &str, action: &str, inside: &str) -> Round {
        self.jingle_as((USER, FULL), sid, action, inside)
    }

    fn propose(&mut self) -> Round {
        self.propose_as(SID)
    }

    fn propose_as(&mut self, sid: &str) -> Round {
        let word = format!(
            "<propose xmlns='urn:xmpp:jingle-message:0' id='{sid}'>\
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose>\
             <request xmlns='urn:xmpp:receipts'/>"
        );
        self.message_from(USER, CONTACT, &format!("jm-propose-{sid}"), &word)
    }

    fn far(&mut self, call: &CallId, fact: Fact) -> Round {
        let session = SessionId(call.0.clone());
        let call = call.clone();
        self.far_says(session, Event::Call(Box::new(CallEvent { call, fact })));
        self.round()
    }

    fn far_describes(&mut self, call: &CallId, role: Role, description: Description) -> Round {
        self.far(
            call,
            Fact::Describe(Box::new(Describe { role, description })),
        )
    }

    fn far_offer(&mut self) -> Round {
        self.far(&CallId(CALL.into()), Fact::Offer(Box::new(offer())))
    }

    /// Lets seconds pass; meanwhile the two peers are there.
    fn after(&mut self, seconds: u64) -> Round {
        let mut actions = Vec::new();
        for _ in 0..seconds {
            actions.extend(self.after_ms(1000).actions);
        }
        Round { actions }
    }

    fn after_ms(&mut self, milliseconds: u64) -> Round {
        self.now.instant += Duration::from_millis(milliseconds);
        self.far_says(SessionId::control(), Event::Control(Control::Heartbeat));
        self.core.handle_timeout(self.now);
        let round = self.round();
        self.pong(&round.actions);
        round
    }

    /// A call of the user's that SIP answered, by messages.
    fn active_from_user(&mut self) -> CallId {
        let call = self.propose().call();
        self.far(&call, Fact::Ready(Ready::default()));
        self.jingle(SID, "session-initiate", CONTENT);
        self.far_describes(&call, Role::Answer, ours());
        call
    }

    /// A call from SIP that the user's phone answered.
    fn active_from_sip(&mut self) -> CallId {
        let call = CallId(CALL.into());
        self.far_offer();
        self.answer(USER, "proceed", "");
        self.far_describes(&call, Role::Offer, ours());
        self.jingle(CALL, "session-accept", CONTENT);
        call
    }

    /// Confirms what was written and sees that nothing is left of any call.
    fn expect_nothing_left(&mut self, last: &Round) {
        self.pong(&last.actions);
        let forgotten = self.round();
        let forgets = |action: &Action| matches!(action, Action::Forget(Key::Call(_)));
        let now = last.actions.iter().any(forgets);
        assert!(
            now || forgotten.actions.iter().any(forgets),
            "{forgotten:?}"
        );
        assert_eq!(self.core.calls_held(), (0, 0));
    }
}

fn offer() -> Offer {
    Offer {
        from: Address::new("+15551234567", "sip.example.com").unwrap(),
        to: Address::new("juliet", "example.com").unwrap(),
        name: None,
        media: vec![Media::Audio],
        description: None,
        hops: 70,
    }
}

/// What the SIP side says of our end of the XMPP leg.
fn ours() -> Description {
    Description {
        streams: vec![Stream {
            mid: "0".into(),
            media: Media::Audio,
            direction: Direction::Both,
            rejected: false,
            codecs: vec![Codec {
                id: 111,
                name: "opus".into(),
                clock: 48000,
                channels: 2,
                parameters: Vec::new(),
                feedback: Vec::new(),
                ptime: None,
                maxptime: None,
            }],
            rtcp_mux: true,
            extensions: Vec::new(),
            sources: Vec::new(),
            transport: Transport {
                ice: Some(IceCredentials {
                    ufrag: "gggg".into(),
                    pwd: "wwwwwwwwwwwwwwwwwwwwww".into(),
                }),
                dtls: Some(Dtls {
                    hash: "sha-256".into(),
                    fingerprint: "CC:DD".into(),
                    setup: Setup::Active,
                }),
                candidates: vec![candidate(40000)],
            },
        }],
        bundle: vec!["0".into()],
    }
}

fn candidate(port: u16) -> Candidate {
    Candidate {
        foundation: "1".into(),
        component: 1,
        priority: 1,
        ip: std::net::IpAddr::from([203, 0, 113, 5]),
        port,
        kind: CandidateKind::Host,
        related: None,
        generation: 0,
    }
}

fn end(reason: EndReason) -> Fact {
    Fact::End(End::new(reason))
}
