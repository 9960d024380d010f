//! The model XMPP server and its users: in order, with bounces, and gone at times.

use std::collections::BTreeMap;
use std::time::Duration;

use minidom::Element;

use super::stage::{Happening, Stage};
use crate::model::{self, CONTACTS, USERS};

/// The server.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// The component's stream, while there is one.
    stream: Option<u64>,
    streams: u64,
    /// Streams that broke on the way to the server: what was on them never arrives.
    broken: Vec<u64>,
    last_in: Duration,
    last_out: Duration,
    stalled_until: Duration,
    ids: BTreeMap<usize, u32>,
}

impl Server {
    /// Takes the component's stream, unless it has one.
    pub(super) fn open(&mut self, stage: &mut Stage) -> bool {
        if self.stream.is_some() {
            return false;
        }
        self.streams += 1;
        self.stream = Some(self.streams);
        stage.note("the stream is open");
        true
    }

    /// The stream that is open.
    pub(super) fn current(&self) -> Option<u64> {
        self.stream
    }

    /// Whether `stream` is the one that is open.
    pub(super) fn is_open(&self, stream: u64) -> bool {
        self.stream == Some(stream)
    }

    /// The stream breaks. What a dying process had written still arrives, what a breaking network
    /// carried does not.
    pub(super) fn close(&mut self, arrives: bool, stage: &mut Stage) {
        if let Some(stream) = self.stream.take() {
            stage.note("the stream is closed");
            if !arrives {
                self.broken.push(stream);
            }
            let again =
                stage.now + Duration::from_millis(200) + stage.random.up_to(Duration::from_secs(8));
            stage.at(again, Happening::OpenStream);
        }
    }

    /// Nothing is read for a while.
    pub(super) fn stall(&mut self, stage: &mut Stage) {
        stage.note("the server stalls");
        self.stalled_until =
            stage.now + Duration::from_secs(10) + stage.random.up_to(Duration::from_secs(40));
    }

    /// The component writes a stanza.
    pub(super) fn write(&mut self, stanza: Box<Element>, stage: &mut Stage) {
        if let Some(stream) = self.stream {
            let at = (stage.now + stage.random.up_to(DELAY))
                .max(self.last_in)
                .max(self.stalled_until);
            self.last_in = at;
            stage.at(at, Happening::ToServer(stream, stanza));
        }
    }

    /// A user writes the message with this number.
    pub(super) fn handle_user(&mut self, number: u32, stage: &mut Stage) {
        let (user, contact) = (stage.random.below(USERS), stage.random.below(CONTACTS));
        let id = self.ids.entry(user).or_default();
        *id += 1;
        let id = *id;
        let stored = stage.random.chance(950);
        stage.ledger.write(number, (user, contact), id, stored);
        if self.stream.is_none() {
            // The server bounces what it has no stream for.
            return stage.ledger.bounce(number);
        }
        let hint = if stored {
            ""
        } else {
            "<no-store xmlns='urn:xmpp:hints'/>"
        };
        let body = model::body(number);
        stage.note(&format!("user {user} writes {body} to contact {contact}"));
        self.say(
            &format!(
                "<message from='u{user}@example.com/phone' to='+1555000{contact}@sip.example.com' \
                 type='chat' id='{id}'><body>{body}</body>{hint}</message>"
            ),
            stage,
        );
    }

    /// A stanza of the component arrives.
    pub(super) fn handle(&mut self, stream: u64, stanza: &Element, stage: &mut Stage) {
        if self.broken.contains(&stream) {
            return;
        }
        let attribute = |name| stanza.attr(name).unwrap_or_default();
        let (from, to, id) = (attribute("from"), attribute("to"), attribute("id"));
        match (stanza.name(), attribute("type")) {
            ("message", "error") => {
                let user = to
                    .strip_prefix('u')
                    .and_then(|rest| rest.get(..1)?.parse().ok());
                let condition = stanza.children().flat_map(Element::children).next();
                let condition = condition.map(Element::name).unwrap_or_default();
                stage.note(&format!("{to} hears {condition} for id {id}"));
                stage.ledger.refuse(user.unwrap_or(USERS), id, condition);
            }
            ("message", _) => {
                let body = stanza
                    .children()
                    .find(|child| child.name() == "body")
                    .map(Element::text);
                let number = model::number(&body.unwrap_or_default());
                let (account, device) = to.split_once('/').unwrap_or((to, ""));
                let bounced = match (account, device) {
                    ("ghost@example.com", _) => Some("item-not-found"),
                    (_, "gone") => Some("service-unavailable"),
                    _ => None,
                };
                match bounced {
                    None => {
                        stage.note(&format!("the server has y{number}"));
                        stage.ledger.arrive(number, stage.now);
                    }
                    Some(condition) => self.say(
                        &format!(
                            "<message from='{to}' to='{from}' type='error' id='{id}'><error type='cancel'>\
                             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
                        ),
                        stage,
                    ),
                }
            }
            ("iq", "get") if self.is_open(stream) => {
                let pong = format!("<iq from='{to}' to='{from}' type='result' id='{id}'/>");
                self.say(&pong, stage);
            }
            _ => {}
        }
    }

    /// The planted bug [`Sabotage::ConfirmEarly`](super::Sabotage::ConfirmEarly): a ping is answered
    /// before what it follows has arrived.
    pub(super) fn answer_early(&mut self, ping: &Element, stage: &mut Stage) {
        let id = ping.attr("id").unwrap_or_default();
        let pong = format!("<iq from='example.com' to='sip.example.com' type='result' id='{id}'/>");
        self.say(&pong, stage);
    }

    fn say(&mut self, text: &str, stage: &mut Stage) {
        let Some(stream) = self.stream else {
            return;
        };
        let text = text.replacen(' ', " xmlns='jabber:component:accept' ", 1);
        let stanza: Element = text.parse().expect("the server writes stanzas");
        let at = (stage.now + stage.random.up_to(DELAY)).max(self.last_out);
        self.last_out = at;
        stage.at(at, Happening::ToComponent(stream, Box::new(stanza)));
    }
}

/// How long a stanza takes.
const DELAY: Duration = Duration::from_millis(80);
