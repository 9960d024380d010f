//! What an RTP content carries (XEP-0167 §4), with feedback (XEP-0293 §3), header extensions (XEP-0294 §3)
//! and sources (XEP-0339 §2).

use super::{Senders, is_token, malformed, number};
use crate::stanza::set;
use crate::xml;
use minidom::Element;
use tandem_shared::media::{Codec, Media, Source, bounds};
use tandem_shared::refusal::Refusal;

/// The longest name, and the longest value, of anything in a description, in bytes.
const TEXT_MAX: usize = 256;
/// Parameters of a codec or a source, and kinds of feedback.
const PARAMETERS_MAX: usize = 32;
/// Header extensions and sources of a description.
const LIST_MAX: usize = 64;

/// A `<description/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What flows.
    pub media: Media,
    /// Formats, best first.
    pub codecs: Vec<Codec>,
    /// Whether RTCP shares the port of RTP.
    pub rtcp_mux: bool,
    /// Header extensions.
    pub extensions: Vec<Extension>,
    /// Sources that are announced.
    pub sources: Vec<Source>,
}

/// A `<rtp-hdrext/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its number.
    pub id: u16,
    /// What it means.
    pub uri: String,
    /// Who uses it.
    pub senders: Senders,
}

impl Description {
    pub(super) fn read(element: &Element) -> Result<Self, Refusal> {
        let mut description = Self {
            media: match element.attr("media") {
                Some("audio") => Media::Audio,
                Some("video") => Media::Video,
                _ => Media::Other,
            },
            codecs: Vec::new(),
            rtcp_mux: element.has_child("rtcp-mux", xml::RTP),
            extensions: Vec::new(),
            sources: Vec::new(),
        };
        let for_all = read_feedback(element);
        for child in element.children() {
            if child.is("payload-type", xml::RTP) {
                description.codecs.extend(read_codec(child, &for_all));
            } else if child.is("rtp-hdrext", xml::HDREXT) {
                description.extensions.extend(Extension::read(child));
            } else if child.is("source", xml::SSMA) {
                description.sources.extend(read_source(child));
            }
            if description.codecs.len() > bounds::CODECS {
                return Err(malformed("There are too many payload types."));
            }
            if description.extensions.len() > LIST_MAX || description.sources.len() > LIST_MAX {
                return Err(malformed("There are too many extensions or sources."));
            }
        }
        Ok(description)
    }

    pub(super) fn write(&self) -> Element {
        let mut element = Element::bare("description", xml::RTP);
        let media = match self.media {
            Media::Audio => "audio",
            Media::Video => "video",
            Media::Other => "application",
        };
        set(&mut element, "media", media);
        for codec in &self.codecs {
            element.append_child(write_codec(codec));
        }
        if self.rtcp_mux {
            element.append_child(Element::bare("rtcp-mux", xml::RTP));
        }
        for extension in &self.extensions {
            element.append_child(extension.write());
        }
        for source in &self.sources {
            element.append_child(write_source(source));
        }
        element
    }
}

impl Extension {
    fn read(element: &Element) -> Option<Self> {
        Some(Self {
            id: number(element, "id")?,
            uri: element
                .attr("uri")
                .filter(|uri| is_token(uri, TEXT_MAX))?
                .to_owned(),
            senders: element
                .attr("senders")
                .and_then(Senders::read)
                .unwrap_or(Senders::Both),
        })
    }

    fn write(&self) -> Element {
        let mut element = Element::bare("rtp-hdrext", xml::HDREXT);
        set(&mut element, "id", &self.id.to_string());
        set(&mut element, "uri", &self.uri);
        if self.senders != Senders::Both {
            set(&mut element, "senders", self.senders.as_str());
        }
        element
    }
}

/// A payload type, or nothing when it is of no use: without a number, a name or a clock.
fn read_codec(element: &Element, for_all: &[(String, String)]) -> Option<Codec> {
    let id: u8 = number(element, "id").filter(|id| *id < 128)?;
    let (name, clock) = static_format(id).unzip();
    let name = element.attr("name").or(name)?;
    let mut feedback = read_feedback(element);
    feedback.extend(for_all.iter().cloned());
    Some(Codec {
        id,
        name: is_token(name, TEXT_MAX).then(|| name.to_owned())?,
        clock: number(element, "clockrate").or(clock)?,
        channels: number(element, "channels")
            .filter(|count| *count > 0)
            .unwrap_or(1),
        parameters: read_parameters(element, xml::RTP, is_event(name)),
        feedback,
        ptime: number(element, "ptime"),
        maxptime: number(element, "maxptime"),
    })
}

fn write_codec(codec: &Codec) -> Element {
    let mut element = Element::bare("payload-type", xml::RTP);
    set(&mut element, "id", &codec.id.to_string());
    set(&mut element, "name", &codec.name);
    set(&mut element, "clockrate", &codec.clock.to_string());
    if codec.channels > 1 {
        set(&mut element, "channels", &codec.channels.to_string());
    }
    for (name, value) in [("ptime", codec.ptime), ("maxptime", codec.maxptime)] {
        if let Some(value) = value {
            set(&mut element, name, &value.to_string());
        }
    }
    for (name, value) in &codec.parameters {
        let events = name.is_empty() && is_event(&codec.name);
        let name = if events { EVENTS } else { name };
        element.append_child(parameter(xml::RTP, name, value));
    }
    for (kind, subtype) in &codec.feedback {
        let mut feedback = Element::bare("rtcp-fb", xml::RTCP_FB);
        set(&mut feedback, "type", kind);
        if !subtype.is_empty() {
            set(&mut feedback, "subtype", subtype);
        }
        element.append_child(feedback);
    }
    element
}

/// The name that SDP's bare list of events has as a parameter (draft-ietf-stox-media).
const EVENTS: &str = "events";

fn is_event(name: &str) -> bool {
    name.eq_ignore_ascii_case("telephone-event")
}

/// Parameters in order. One without a value is a bare value: stanza writes `<parameter
/// name="111/111"/>` for redundant audio.
fn read_parameters(element: &Element, ns: &str, events: bool) -> Vec<(String, String)> {
    let usable = |text: &str| text.len() <= TEXT_MAX && !text.chars().any(char::is_control);
    element
        .children()
        .filter(|child| child.is("parameter", ns))
        .map(|child| {
            let name = child.attr("name").unwrap_or_default();
            match child.attr("value") {
                Some(value) if events && name == EVENTS => ("", value),
                Some(value) => (name, value),
                None => ("", name),
            }
        })
        .filter(|(name, value)| {
            usable(name) && usable(value) && !(name.is_empty() && value.is_empty())
        })
        .take(PARAMETERS_MAX)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn parameter(ns: &str, name: &str, value: &str) -> Element {
    let mut element = Element::bare("parameter", ns);
    set(&mut element, "name", name);
    set(&mut element, "value", value);
    element
}

fn read_feedback(element: &Element) -> Vec<(String, String)> {
    element
        .children()
        .filter(|child| child.is("rtcp-fb", xml::RTCP_FB))
        .filter_map(|child| {
            let kind = child.attr("type").filter(|kind| is_token(kind, TEXT_MAX))?;
            let subtype = child.attr("subtype").unwrap_or_default();
            let usable = subtype.is_empty() || is_token(subtype, TEXT_MAX);
            usable.then(|| (kind.to_owned(), subtype.to_owned()))
        })
        .take(PARAMETERS_MAX)
        .collect()
}

fn read_source(element: &Element) -> Option<Source> {
    Some(Source {
        ssrc: number(element, "ssrc")?,
        parameters: read_source_parameters(element),
    })
}

/// Unlike a format's, an attribute of a source may have a name alone.
fn read_source_parameters(element: &Element) -> Vec<(String, String)> {
    let named = |child: &&Element| child.is("parameter", xml::SSMA);
    element
        .children()
        .filter(named)
        .filter_map(|child| {
            let name = child.attr("name").filter(|name| is_token(name, TEXT_MAX))?;
            let value = child.attr("value").unwrap_or_default();
            let usable = value.len() <= TEXT_MAX && !value.chars().any(char::is_control);
            usable.then(|| (name.to_owned(), value.to_owned()))
        })
        .take(PARAMETERS_MAX)
        .collect()
}

fn write_source(source: &Source) -> Element {
    let mut element = Element::bare("source", xml::SSMA);
    set(&mut element, "ssrc", &source.ssrc.to_string());
    for (name, value) in &source.parameters {
        element.append_child(parameter(xml::SSMA, name, value));
    }
    element
}

/// Name and clock of the payload types that need neither (RFC 3551).
fn static_format(id: u8) -> Option<(&'static str, u32)> {
    match id {
        0 => Some(("PCMU", 8000)),
        3 => Some(("GSM", 8000)),
        8 => Some(("PCMA", 8000)),
        9 => Some(("G722", 8000)),
        13 => Some(("CN", 8000)),
        18 => Some(("G729", 8000)),
        _ => None,
    }
}
