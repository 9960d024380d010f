//! Jingle (XEP-0166 §7): reading what clients write, writing what they understand.
//!
//! Reading is lenient about everything that does no harm: unknown children, missing ids, attributes
//! nobody needs. What would not survive on the other side is refused: names that are no tokens, and
//! more of anything than [`bounds`] allows. Writing is strict.

pub mod dtls;
pub mod ice;
pub mod info;
pub mod propose;
pub mod reason;
pub mod rtp;

use crate::stanza::set;
use crate::xml;
use info::Info;
use minidom::Element;
use reason::Reason;
use tandem_shared::media::{Direction, bounds};
use tandem_shared::refusal::{self, Refusal};

/// The longest session id that is read, in bytes.
const SID_MAX: usize = 256;
/// The longest content name, in bytes.
const NAME_MAX: usize = 64;

/// What a `<jingle/>` element asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the action of its name")]
pub enum Action {
    SessionInitiate,
    SessionAccept,
    SessionTerminate,
    SessionInfo,
    ContentAdd,
    ContentAccept,
    ContentReject,
    ContentModify,
    ContentRemove,
    DescriptionInfo,
    SecurityInfo,
    TransportInfo,
    TransportReplace,
    TransportAccept,
    TransportReject,
}

const ACTIONS: [(Action, &str); 15] = [
    (Action::SessionInitiate, "session-initiate"),
    (Action::SessionAccept, "session-accept"),
    (Action::SessionTerminate, "session-terminate"),
    (Action::SessionInfo, "session-info"),
    (Action::ContentAdd, "content-add"),
    (Action::ContentAccept, "content-accept"),
    (Action::ContentReject, "content-reject"),
    (Action::ContentModify, "content-modify"),
    (Action::ContentRemove, "content-remove"),
    (Action::DescriptionInfo, "description-info"),
    (Action::SecurityInfo, "security-info"),
    (Action::TransportInfo, "transport-info"),
    (Action::TransportReplace, "transport-replace"),
    (Action::TransportAccept, "transport-accept"),
    (Action::TransportReject, "transport-reject"),
];

/// One of the two who hold a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// Who sent `session-initiate`.
    Initiator,
    /// The other.
    Responder,
}

/// Who sends in a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the value of its name")]
pub enum Senders {
    Both,
    Initiator,
    Responder,
    None,
}

impl Senders {
    /// What `author` means when it says this.
    #[must_use]
    pub fn direction(self, author: Party) -> Direction {
        let direction = match self {
            Self::Both => Direction::Both,
            Self::Initiator => Direction::Send,
            Self::Responder => Direction::Receive,
            Self::None => Direction::None,
        };
        match author {
            Party::Initiator => direction,
            Party::Responder => direction.reversed(),
        }
    }

    /// What `author` says when it means `direction`.
    #[must_use]
    pub fn of(direction: Direction, author: Party) -> Self {
        let as_initiator = match author {
            Party::Initiator => direction,
            Party::Responder => direction.reversed(),
        };
        match as_initiator {
            Direction::Both => Self::Both,
            Direction::Send => Self::Initiator,
            Direction::Receive => Self::Responder,
            Direction::None => Self::None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "both" => Some(Self::Both),
            "initiator" => Some(Self::Initiator),
            "responder" => Some(Self::Responder),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Initiator => "initiator",
            Self::Responder => "responder",
            Self::None => "none",
        }
    }
}

/// What a content carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Application {
    /// XEP-0167.
    Rtp(Box<rtp::Description>),
    /// Something else.
    Foreign,
}

/// How a content travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// XEP-0176.
    Ice(Box<ice::Transport>),
    /// Something else.
    Foreign,
}

/// One `<content/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Who brought it into the session.
    pub creator: Party,
    /// Its name: a token.
    pub name: String,
    /// Who sends, if said.
    pub senders: Option<Senders>,
    /// What it carries, if said.
    pub application: Option<Application>,
    /// How it travels, if said.
    pub transport: Option<Transport>,
}

/// A `<jingle/>` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jingle {
    /// What it asks for.
    pub action: Action,
    /// Which session.
    pub sid: String,
    /// The contents it names.
    pub contents: Vec<Content>,
    /// Names of the contents that share one transport (XEP-0338 §2).
    pub bundle: Vec<String>,
    /// Why, when something ends.
    pub reason: Option<Reason>,
    /// What is told, in a `session-info`.
    pub info: Info,
}

impl Jingle {
    /// An element that says `action` about `sid` and nothing more.
    #[must_use]
    pub fn new(action: Action, sid: &str) -> Self {
        Self {
            action,
            sid: sid.to_owned(),
            contents: Vec::new(),
            bundle: Vec::new(),
            reason: None,
            info: Info::Nothing,
        }
    }

    /// Reads a `<jingle/>` element.
    ///
    /// # Errors
    /// `bad-request` for what cannot be understood or is too much, `feature-not-implemented` for an
    /// action that does not exist.
    pub fn read(element: &Element) -> Result<Self, Refusal> {
        let action = element
            .attr("action")
            .ok_or_else(|| malformed("There is no action."))?;
        let (action, _) = ACTIONS
            .iter()
            .find(|(_, name)| *name == action)
            .ok_or_else(|| Refusal::new(refusal::Reason::FeatureNotImplemented))?;
        let sid = element.attr("sid").filter(|sid| is_sid(sid));
        let sid = sid.ok_or_else(|| malformed("There is no usable session id."))?;
        let mut jingle = Self::new(*action, sid);
        for child in element.children() {
            if child.is("content", xml::JINGLE) {
                if jingle.contents.len() >= bounds::STREAMS {
                    return Err(malformed("There are too many contents."));
                }
                jingle.contents.push(Content::read(child)?);
            } else if child.is("group", xml::GROUPING) {
                if child.attr("semantics") == Some("BUNDLE") && jingle.bundle.is_empty() {
                    jingle.bundle = read_group(child);
                }
            } else if child.is("reason", xml::JINGLE) {
                jingle.reason = Some(Reason::read(child));
            } else if jingle.info == Info::Nothing {
                jingle.info = Info::read(child);
            }
        }
        Ok(jingle)
    }

    /// The element. `initiator` goes into a `session-initiate` alone, `responder` into its accept.
    #[must_use]
    pub fn write(&self, initiator: Option<&str>, responder: Option<&str>) -> Element {
        let mut element = Element::bare("jingle", xml::JINGLE);
        let name = ACTIONS.iter().find(|(action, _)| *action == self.action);
        set(&mut element, "action", name.map_or("", |(_, name)| name));
        set(&mut element, "sid", &self.sid);
        for (name, value) in [("initiator", initiator), ("responder", responder)] {
            if let Some(value) = value {
                set(&mut element, name, value);
            }
        }
        for content in &self.contents {
            element.append_child(content.write());
        }
        if !self.bundle.is_empty() {
            let mut group = Element::bare("group", xml::GROUPING);
            set(&mut group, "semantics", "BUNDLE");
            for name in &self.bundle {
                let mut content = Element::bare("content", xml::GROUPING);
                set(&mut content, "name", name);
                group.append_child(content);
            }
            element.append_child(group);
        }
        if let Some(reason) = &self.reason {
            element.append_child(reason.write());
        }
        if let Some(info) = self.info.write() {
            element.append_child(info);
        }
        element
    }
}

impl Content {
    /// A content that only names one.
    #[must_use]
    pub fn named(name: &str, creator: Party) -> Self {
        Self {
            creator,
            name: name.to_owned(),
            senders: None,
            application: None,
            transport: None,
        }
    }

    fn read(element: &Element) -> Result<Self, Refusal> {
        let name = element.attr("name").filter(|name| is_token(name, NAME_MAX));
        let name = name.ok_or_else(|| malformed("A content has no usable name."))?;
        let creator = match element.attr("creator") {
            Some("responder") => Party::Responder,
            _ => Party::Initiator,
        };
        let mut content = Self::named(name, creator);
        content.senders = element.attr("senders").and_then(Senders::read);
        for child in element.children() {
            if child.name() == "description" && content.application.is_none() {
                content.application = Some(if child.has_ns(xml::RTP) {
                    Application::Rtp(Box::new(rtp::Description::read(child)?))
                } else {
                    Application::Foreign
                });
            } else if child.name() == "transport" && content.transport.is_none() {
                content.transport = Some(if child.has_ns(xml::ICE_UDP) {
                    Transport::Ice(Box::new(ice::Transport::read(child)?))
                } else {
                    Transport::Foreign
                });
            }
        }
        Ok(content)
    }

    fn write(&self) -> Element {
        let mut element = Element::bare("content", xml::JINGLE);
        let creator = match self.creator {
            Party::Initiator => "initiator",
            Party::Responder => "responder",
        };
        set(&mut element, "creator", creator);
        set(&mut element, "name", &self.name);
        if let Some(senders) = self.senders {
            set(&mut element, "senders", senders.as_str());
        }
        if let Some(Application::Rtp(description)) = &self.application {
            element.append_child(description.write());
        }
        if let Some(Transport::Ice(transport)) = &self.transport {
            element.append_child(transport.write());
        }
        element
    }
}

fn read_group(group: &Element) -> Vec<String> {
    let names = group.children().filter(|child| child.name() == "content");
    names
        .filter_map(|content| content.attr("name"))
        .filter(|name| is_token(name, NAME_MAX))
        .take(bounds::STREAMS)
        .map(str::to_owned)
        .collect()
}

/// Whether `text` may name a session.
#[must_use]
pub fn is_sid(text: &str) -> bool {
    (1..=SID_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether `text` is printable ASCII without spaces, at most `max` bytes: nothing that would mean
/// something else in SDP (specs T9).
fn is_token(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The attribute `name` of `element`, if it is a number of the wanted kind.
fn number<T: std::str::FromStr>(element: &Element, name: &str) -> Option<T> {
    element.attr(name)?.trim().parse().ok()
}

fn malformed(text: &str) -> Refusal {
    Refusal::new(refusal::Reason::BadRequest).with_text(text)
}

#[cfg(test)]
mod tests;
