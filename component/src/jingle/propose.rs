//! Calls before they are sessions: Jingle message initiation (XEP-0353 §3).

use super::is_sid;
use super::reason::Reason;
use crate::stanza::{set, stanza};
use crate::xml;
use jid::Jid;
use minidom::Element;
use tandem_shared::media::Media;

/// What a message says about the call `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which call; its session will have the same id.
    pub id: String,
    /// What.
    pub word: Word,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Somebody calls, with these media.
    Propose(Vec<Media>),
    /// A device rings.
    Ringing,
    /// A device takes the call.
    Proceed,
    /// A device does not want it.
    Reject(Ended),
    /// The caller gave up.
    Retract(Ended),
    /// The call is over.
    Finish(Ended),
    /// A device of the user told the others that it takes the call; not in the specification any
    /// more, but Conversations and Dino say it.
    Accept,
}

/// How it came to an end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: Option<Reason>,
    /// Both parties called each other at once.
    pub tie_break: bool,
    /// The id of the call that goes on in its place.
    pub migrated: Option<String>,
}

impl Ended {
    /// An end for `reason`.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }

    /// The end of the one of two crossing calls that gives way.
    #[must_use]
    pub fn by_tie_break() -> Self {
        Self {
            reason: Some(Reason::new("expired")),
            tie_break: true,
            migrated: None,
        }
    }

    fn read(element: &Element) -> Self {
        let migrated = element.get_child("migrated", xml::JINGLE_MESSAGE);
        let migrated = migrated.and_then(|child| child.attr("to"));
        Self {
            reason: element.get_child("reason", xml::JINGLE).map(Reason::read),
            tie_break: element.has_child("tie-break", xml::JINGLE_MESSAGE),
            migrated: migrated.filter(|id| is_sid(id)).map(str::to_owned),
        }
    }

    fn write(&self, element: &mut Element) {
        if let Some(reason) = &self.reason {
            element.append_child(reason.write());
        }
        if self.tie_break {
            element.append_child(Element::bare("tie-break", xml::JINGLE_MESSAGE));
        }
        if let Some(id) = &self.migrated {
            let mut migrated = Element::bare("migrated", xml::JINGLE_MESSAGE);
            set(&mut migrated, "to", id);
            element.append_child(migrated);
        }
    }
}

impl Message {
    /// What `stanza`, a message, says about a call, if anything.
    #[must_use]
    pub fn read(stanza: &Element) -> Option<Self> {
        let is_word = |child: &&Element| child.has_ns(xml::JINGLE_MESSAGE);
        let element = stanza.children().find(is_word)?;
        let word = match element.name() {
            "propose" => Word::Propose(read_media(element)),
            "ringing" => Word::Ringing,
            "proceed" => Word::Proceed,
            "reject" => Word::Reject(Ended::read(element)),
            "retract" => Word::Retract(Ended::read(element)),
            "finish" => Word::Finish(Ended::read(element)),
            "accept" => Word::Accept,
            _ => return None,
        };
        let id = element.attr("id").filter(|id| is_sid(id))?;
        Some(Self {
            id: id.to_owned(),
            word,
        })
    }

    /// The stanza that says it, under the stanza id that [`stanza_id`] gives.
    #[must_use]
    pub fn write(&self, from: &Jid, to: &Jid) -> Element {
        let name = self.word.name();
        let mut element = Element::bare(name, xml::JINGLE_MESSAGE);
        set(&mut element, "id", &self.id);
        match &self.word {
            Word::Propose(media) => media.iter().for_each(|media| {
                let mut description = Element::bare("description", xml::RTP);
                let media = match media {
                    Media::Audio => "audio",
                    Media::Video => "video",
                    Media::Other => "application",
                };
                set(&mut description, "media", media);
                element.append_child(description);
            }),
            Word::Reject(ended) | Word::Retract(ended) | Word::Finish(ended) => {
                ended.write(&mut element);
            }
            Word::Ringing | Word::Proceed | Word::Accept => {}
        }
        let mut message = stanza("message", from, to);
        set(&mut message, "type", "chat");
        set(&mut message, "id", &stanza_id(name, &self.id));
        message.append_child(element);
        message.append_child(Element::bare("store", xml::HINTS));
        message
    }
}

impl Word {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Propose(_) => "propose",
            Self::Ringing => "ringing",
            Self::Proceed => "proceed",
            Self::Reject(_) => "reject",
            Self::Retract(_) => "retract",
            Self::Finish(_) => "finish",
            Self::Accept => "accept",
        }
    }
}

/// The stanza id of the message that says `word` about `call`: an error or a receipt that comes
/// back names it.
#[must_use]
pub fn stanza_id(word: &str, call: &str) -> String {
    format!("{word}-{call}")
}

/// The word and the call of an id that [`stanza_id`] made.
#[must_use]
pub fn of_stanza_id(id: &str) -> Option<(&str, &str)> {
    id.split_once('-')
}

fn read_media(element: &Element) -> Vec<Media> {
    let described = element
        .children()
        .filter(|child| child.name() == "description");
    let media = |description: &Element| match description.attr("media") {
        Some("audio") if description.has_ns(xml::RTP) => Media::Audio,
        Some("video") if description.has_ns(xml::RTP) => Media::Video,
        _ => Media::Other,
    };
    described
        .take(tandem_shared::media::bounds::STREAMS)
        .map(media)
        .collect()
}
