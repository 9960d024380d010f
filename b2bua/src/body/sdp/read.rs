//! From text to [`Sdp`].

use std::net::{IpAddr, Ipv4Addr};

use tandem_shared::media::{Codec, Direction, IceCredentials, Setup, Source, bounds};

use super::{
    Crypto, InvalidSdp, MAX_LENGTH, MediaLine, Origin, Problem, Profile, Sdp, attribute, payload,
    text,
};
use crate::media::Fingerprint;
use crate::sip::grammar;

pub(super) fn sdp(body: &[u8]) -> Result<Sdp, InvalidSdp> {
    let failed = |line: usize| move |problem| InvalidSdp { line, problem };
    if body.len() > MAX_LENGTH {
        return Err(failed(1)(Problem::TooLong));
    }
    let body = String::from_utf8_lossy(body);
    let lines = body.split('\n').map(str::trim).zip(1..);
    let mut lines = lines.filter(|(line, _)| !line.is_empty());
    match lines.next() {
        Some((first, _)) if first.replace(' ', "") == "v=0" => {}
        _ => return Err(failed(1)(Problem::Version)),
    }
    let mut session = Session::default();
    let mut drafts: Vec<Draft> = Vec::new();
    for (line, number) in lines {
        let Some((kind, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        if kind.trim() == "m" {
            if drafts.len() == bounds::STREAMS {
                return Err(failed(number)(Problem::Streams));
            }
            drafts.push(Draft::begin(value).map_err(failed(number))?);
            continue;
        }
        match (kind.trim(), drafts.last_mut()) {
            ("a", Some(draft)) => draft.attribute(value).map_err(failed(number))?,
            ("a", None) => session.attribute(value),
            ("c", Some(draft)) => draft.connection = Some(attribute::connection(value)),
            ("c", None) => session.connection = attribute::connection(value),
            ("o", None) => session.origin = Some(origin(value)),
            ("s", None) => session.name = Some(name(value)),
            _ => {}
        }
    }
    let media = drafts.into_iter().map(|draft| draft.finish(&session));
    Ok(Sdp {
        media: media.collect(),
        origin: session.origin.unwrap_or_else(|| origin("")),
        name: session.name.unwrap_or_else(|| name("")),
        bundle: session.bundle,
    })
}

/// What stands before the first `m=` line.
#[derive(Default)]
struct Session {
    origin: Option<Origin>,
    name: Option<String>,
    bundle: Vec<String>,
    connection: Option<IpAddr>,
    direction: Option<Direction>,
    security: Security,
}

/// What may be said once for all media or in each.
#[derive(Default, Clone)]
struct Security {
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    ufrag: Option<String>,
    pwd: Option<String>,
}

impl Security {
    fn attribute(&mut self, name: &str, value: &str) {
        let ice = || Some(value.to_owned()).filter(|text| text::is_ice(text));
        match name {
            "fingerprint" if self.fingerprints.len() < MAX_FINGERPRINTS => {
                self.fingerprints.extend(attribute::fingerprint(value));
            }
            "setup" => self.setup = attribute::setup(value),
            "ice-ufrag" => self.ufrag = ice(),
            "ice-pwd" => self.pwd = ice(),
            _ => {}
        }
    }
}

impl Session {
    fn attribute(&mut self, text: &str) {
        let (name, value) = split(text);
        if let Some(direction) = attribute::direction(&name) {
            self.direction = Some(direction);
        } else if name == "group" {
            let mut words = value.split_ascii_whitespace();
            if words.next() == Some("BUNDLE") && self.bundle.is_empty() {
                let mids = words.filter(|mid| text::is_token(mid));
                self.bundle = mids.take(bounds::STREAMS).map(str::to_owned).collect();
            }
        } else {
            self.security.attribute(&name, value);
        }
    }
}

/// A stream while its lines are read; codecs are put together at its end, because their attributes
/// come in any order.
struct Draft {
    line: MediaLine,
    listed: Vec<u8>,
    connection: Option<Option<IpAddr>>,
    direction: Option<Direction>,
    security: Security,
    maps: Vec<Codec>,
    parameters: Vec<(u8, Vec<(String, String)>)>,
    feedback: Vec<(Option<u8>, (String, String))>,
}

impl Draft {
    fn begin(value: &str) -> Result<Self, Problem> {
        let mut words = value.split_ascii_whitespace();
        let (Some(media), Some(port), Some(profile)) = (words.next(), words.next(), words.next())
        else {
            return Err(Problem::Media);
        };
        if !text::is_token(media) || !profile.split('/').all(text::is_token) {
            return Err(Problem::Media);
        }
        let port = port.split('/').next().unwrap_or(port);
        let mut line = MediaLine::empty(media, Profile::parse(profile));
        line.port = port.parse().map_err(|_| Problem::Port)?;
        let mut listed = Vec::new();
        for format in words {
            if listed.len() + line.formats.len() == bounds::CODECS {
                return Err(Problem::Formats);
            }
            match format.parse() {
                Ok(id) if line.profile.is_rtp() && id < 128 => listed.push(id),
                _ if text::is_token(format) => line.formats.push(format.to_owned()),
                _ => {}
            }
        }
        // COMPAT(several): a rejected stream without any format.
        if listed.is_empty() && line.formats.is_empty() {
            if line.profile.is_rtp() {
                listed.push(0);
            } else {
                line.formats.push("0".to_owned());
            }
        }
        Ok(Self {
            line,
            listed,
            connection: None,
            direction: None,
            security: Security::default(),
            maps: Vec::new(),
            parameters: Vec::new(),
            feedback: Vec::new(),
        })
    }

    fn attribute(&mut self, text: &str) -> Result<(), Problem> {
        let (name, value) = split(text);
        let line = &mut self.line;
        match name.as_str() {
            "rtpmap" if self.maps.len() < bounds::CODECS => {
                self.maps.extend(attribute::rtpmap(value));
            }
            "fmtp" if self.parameters.len() < bounds::CODECS => {
                self.parameters.extend(attribute::fmtp(value));
            }
            "rtcp-fb" => self.feedback.extend(attribute::feedback(value)),
            "mid" => line.mid = Some(value.to_owned()).filter(|mid| text::is_token(mid)),
            "ptime" => line.ptime = milliseconds(value),
            "maxptime" => line.maxptime = milliseconds(value),
            "rtcp" => line.rtcp = attribute::rtcp(value),
            "rtcp-mux" => line.rtcp_mux = true,
            "crypto" if line.crypto.len() < MAX_ATTRIBUTES => {
                line.crypto.extend(Crypto::parse(value));
            }
            "candidate" => {
                line.candidates.extend(attribute::candidate(value));
                if line.candidates.len() > bounds::CANDIDATES {
                    return Err(Problem::Candidates);
                }
            }
            "extmap" if line.extensions.len() < MAX_ATTRIBUTES => {
                line.extensions.extend(attribute::extension(value));
            }
            "ssrc" => self.source(value),
            name => match attribute::direction(name) {
                Some(direction) => self.direction = Some(direction),
                None => self.security.attribute(name, value),
            },
        }
        Ok(())
    }

    fn source(&mut self, value: &str) {
        let Some((ssrc, parameter)) = attribute::source(value) else {
            return;
        };
        let sources = &mut self.line.sources;
        if let Some(source) = sources.iter_mut().find(|source| source.ssrc == ssrc) {
            if source.parameters.len() < MAX_ATTRIBUTES {
                source.parameters.push(parameter);
            }
        } else if sources.len() < MAX_ATTRIBUTES {
            sources.push(Source {
                ssrc,
                parameters: vec![parameter],
            });
        }
    }

    fn finish(mut self, session: &Session) -> MediaLine {
        for id in std::mem::take(&mut self.listed) {
            if self.line.codecs.iter().any(|codec| codec.id == id) {
                continue;
            }
            match self.codec(id) {
                Some(codec) => self.line.codecs.push(codec),
                None => {
                    let format = id.to_string();
                    if !self.line.formats.contains(&format) {
                        self.line.formats.push(format);
                    }
                }
            }
        }
        let mut line = self.line;
        line.connection = self.connection.unwrap_or(session.connection);
        line.direction = self.direction.or(session.direction).unwrap_or_default();
        let (own, all) = (self.security, session.security.clone());
        line.fingerprints = own.fingerprints;
        if line.fingerprints.is_empty() {
            line.fingerprints = all.fingerprints;
        }
        line.setup = own.setup.or(all.setup);
        line.ice = own
            .ufrag
            .or(all.ufrag)
            .zip(own.pwd.or(all.pwd))
            .map(|(ufrag, pwd)| IceCredentials { ufrag, pwd });
        line
    }

    fn codec(&self, id: u8) -> Option<Codec> {
        let mapped = self.maps.iter().find(|map| map.id == id).cloned();
        let mut codec = mapped.or_else(|| payload::assigned(id))?;
        let parameters = self.parameters.iter().filter(|(of, _)| *of == id);
        codec.parameters = parameters.flat_map(|(_, list)| list).cloned().collect();
        let feedback = self
            .feedback
            .iter()
            .filter(|(of, _)| of.is_none_or(|of| of == id));
        let kinds = feedback.map(|(_, kind)| kind).take(MAX_ATTRIBUTES);
        codec.feedback = kinds.cloned().collect();
        Some(codec)
    }
}

/// The name of an attribute in lower case, and its value.
fn split(text: &str) -> (String, &str) {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    (name.trim().to_ascii_lowercase(), value.trim())
}

fn milliseconds(value: &str) -> Option<u16> {
    // COMPAT(several): `20.0`.
    let whole = value.split('.').next()?;
    whole.parse().ok().filter(|time| *time > 0)
}

/// Whatever of an origin can be read: nobody's call depends on it.
fn origin(value: &str) -> Origin {
    let mut words = value.split_ascii_whitespace();
    let user = words
        .next()
        .filter(|user| text::is_token(user))
        .unwrap_or("-")
        .to_owned();
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let (session, version) = (number(), number());
    let rest: Vec<_> = words.collect();
    Origin {
        user,
        session,
        version,
        address: attribute::connection(&rest.join(" "))
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    }
}

fn name(value: &str) -> String {
    let name = grammar::clean(value).trim().to_owned();
    if name.is_empty() {
        "-".to_owned()
    } else {
        name
    }
}

/// Attributes of one kind within a stream; more are left out.
const MAX_ATTRIBUTES: usize = 32;

/// Digests of one certificate.
const MAX_FINGERPRINTS: usize = 4;
