//! Questions to the gateway and its contacts.
//!
//! For a contact the component is the server, so it answers for bare and full JIDs alike. Every
//! `get` and `set` gets an answer (RFC 6120 §8.2.3); whatever is not known is
//! `service-unavailable`.

use crate::caps;
use crate::clock::Now;
use crate::disco::{self, Entity};
use crate::stanza::{Frame, set, text_element};
use crate::xml;
use minidom::Element;
use std::time::{Duration, Instant, SystemTime};
use tandem_shared::refusal::{Reason, Refusal};

/// Answers questions.
#[derive(Debug)]
pub struct Answers {
    started: Instant,
}

impl Answers {
    /// Answers for a process that started at `started`.
    #[must_use]
    pub fn new(started: Instant) -> Self {
        Self { started }
    }

    /// The payload that answers `stanza`, a `get` or `set`; `Ok(None)` is an empty result.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn answer(
        &self,
        frame: &Frame,
        stanza: &Element,
        now: Now,
    ) -> Result<Option<Element>, Refusal> {
        let mut children = stanza.children();
        let (Some(question), None, Some(_)) = (children.next(), children.next(), &frame.id) else {
            return Err(Refusal::new(Reason::BadRequest)
                .with_text("An iq needs an id and exactly one child."));
        };
        let entity = match (frame.to.node(), frame.to.resource()) {
            (None, _) => Entity::Gateway,
            (Some(_), None) => Entity::Account,
            (Some(_), Some(_)) => Entity::Device,
        };
        let unknown = || Err(Refusal::new(Reason::ServiceUnavailable));
        if frame.form != "get" {
            return unknown();
        }
        if question.is("query", xml::DISCO_INFO) {
            return match question.attr("node").filter(|node| !node.is_empty()) {
                None => Ok(Some(disco::info(entity))),
                Some(node) => caps::answer(entity, node)
                    .map(Some)
                    .ok_or_else(|| Refusal::new(Reason::ItemNotFound)),
            };
        }
        if question.is("query", xml::DISCO_ITEMS) {
            let node = question.attr("node").is_some_and(|node| !node.is_empty());
            return match node {
                true => Err(Refusal::new(Reason::ItemNotFound)),
                false => Ok(Some(disco::items())),
            };
        }
        if question.is("ping", xml::PING) {
            Ok(None)
        } else if question.is("query", xml::VERSION) {
            Ok(Some(version()))
        } else if question.is("query", xml::LAST) {
            Ok(Some(last(
                entity,
                now.instant.saturating_duration_since(self.started),
            )))
        } else if question.is("time", xml::TIME) && entity == Entity::Gateway {
            Ok(Some(time(now.wall)))
        } else {
            unknown()
        }
    }
}

/// XEP-0092.
fn version() -> Element {
    let mut query = Element::bare("query", xml::VERSION);
    query.append_child(text_element("name", xml::VERSION, "Tandem"));
    query.append_child(text_element(
        "version",
        xml::VERSION,
        env!("CARGO_PKG_VERSION"),
    ));
    query
}

/// The uptime of the gateway (XEP-0012 §5); a contact was active just now (XEP-0012 §4).
fn last(entity: Entity, uptime: Duration) -> Element {
    let mut query = Element::bare("query", xml::LAST);
    let seconds = match entity {
        Entity::Gateway => uptime.as_secs(),
        Entity::Account | Entity::Device => 0,
    };
    set(&mut query, "seconds", &seconds.to_string());
    query
}

/// XEP-0202.
fn time(now: SystemTime) -> Element {
    let mut time = Element::bare("time", xml::TIME);
    time.append_child(text_element("tzo", xml::TIME, "+00:00"));
    time.append_child(text_element("utc", xml::TIME, &utc(now)));
    time
}

/// `now` as XEP-0082 writes it, whole seconds.
#[must_use]
pub fn utc(now: SystemTime) -> String {
    let timestamp = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
