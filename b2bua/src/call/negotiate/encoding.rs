//! Which codecs are offered, in what order, and which one is taken.

use serde::{Deserialize, Serialize};
use tandem_shared::media::Codec;

/// A codec that media can relay and transcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Opus (RFC 7587).
    Opus,
    /// G.722: wide band at the clock of narrow band (RFC 3551).
    G722,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
}

impl Encoding {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [Self::Opus, Self::G722, Self::Pcma, Self::Pcmu];

    /// What `codec` is, if we know it.
    #[must_use]
    pub fn of(codec: &Codec) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| {
            let (name, clock, _) = encoding.spelling();
            // COMPAT(several): G.722 with its real sampling rate.
            let clocks = [
                clock,
                if *encoding == Self::G722 {
                    16000
                } else {
                    clock
                },
            ];
            codec.name.eq_ignore_ascii_case(name) && clocks.contains(&codec.clock)
        })
    }

    /// The clock of its RTP packets.
    #[must_use]
    pub fn clock(self) -> u32 {
        self.spelling().1
    }

    fn spelling(self) -> (&'static str, u32, u8) {
        match self {
            Self::Opus => ("opus", 48000, 2),
            Self::G722 => ("G722", 8000, 1),
            Self::Pcma => ("PCMA", 8000, 1),
            Self::Pcmu => ("PCMU", 8000, 1),
        }
    }

    /// The payload type we give it where nothing else has it: the static one (RFC 3551), or what
    /// most clients use.
    fn usual_id(self) -> u8 {
        match self {
            Self::Opus => 111,
            Self::G722 => 9,
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }
}

/// What was agreed about codecs.
#[derive(Debug)]
pub(super) struct Choice {
    /// What we list in an answer, and may receive; the first is what we send.
    pub(super) ours: Vec<Codec>,
    /// What we send, in the other side's words.
    pub(super) send: Codec,
    /// Telephone events as we send them, in the other side's words.
    pub(super) events: Option<Codec>,
}

/// What we offer: first what the other leg has too, then what was agreed before, then the rest of
/// what is allowed, then telephone events for every clock among them (RFC 4733).
///
/// `before` is what we listed last on this leg; its payload types never change their meaning.
pub(super) fn offer(allowed: &[Encoding], other: &[Codec], before: &[Codec]) -> Vec<Codec> {
    let among = |codecs: &[Codec], encoding: Encoding| {
        codecs
            .iter()
            .any(|codec| Encoding::of(codec) == Some(encoding))
    };
    let rank = |encoding: &Encoding| {
        let (relayed, known) = (among(other, *encoding), among(before, *encoding));
        (!relayed, !known)
    };
    let mut order: Vec<_> = allowed.to_vec();
    order.sort_by_key(rank);
    let mut codecs: Vec<Codec> = Vec::new();
    let mut clocks = Vec::new();
    for encoding in order {
        let known = before
            .iter()
            .find(|codec| Encoding::of(codec) == Some(encoding));
        let id = match known {
            Some(codec) => codec.id,
            None => free_id(encoding.usual_id(), before, &codecs),
        };
        codecs.push(codec(encoding, id, other));
        if !clocks.contains(&encoding.clock()) {
            clocks.push(encoding.clock());
        }
    }
    for clock in clocks {
        let known = before
            .iter()
            .find(|codec| is_events(codec) && codec.clock == clock);
        let usual = if clock == 8000 { 101 } else { 110 };
        let id = known.map_or_else(|| free_id(usual, before, &codecs), |codec| codec.id);
        codecs.push(events(id, clock));
    }
    codecs
}

/// Answers what was `offered`: one codec, so that nobody changes it within the call, and telephone
/// events. A codec that the other leg has is taken first, then the one in use, then the best.
pub(super) fn answer(
    offered: &[Codec],
    allowed: &[Encoding],
    other: &[Codec],
    now: Option<&Codec>,
) -> Option<Choice> {
    let find = |encoding: Encoding| {
        let found = offered
            .iter()
            .find(|codec| Encoding::of(codec) == Some(encoding));
        found.map(|codec| (encoding, codec))
    };
    let wanted = other.iter().chain(now).filter_map(Encoding::of);
    let wanted = wanted.filter(|encoding| allowed.contains(encoding));
    let mut candidates = wanted.chain(allowed.iter().copied());
    let (encoding, send) = candidates.find_map(find)?;
    let events_sent = best_events(offered.iter(), encoding);
    let mut ours = vec![codec(encoding, send.id, other)];
    ours.extend(events_sent.clone());
    Some(Choice {
        ours,
        send: as_sent(encoding, send),
        events: events_sent,
    })
}

/// Takes the answer to what we `offered`: of what it lists the codec that the other leg has, else
/// its first. It may send us any that it lists.
pub(super) fn accept(offered: &[Codec], answered: &[Codec], other: &[Codec]) -> Option<Choice> {
    let ours = |theirs: &Codec| {
        let same = |mine: &&Codec| match Encoding::of(theirs) {
            Some(encoding) => Encoding::of(mine) == Some(encoding),
            None => is_events(theirs) && is_events(mine) && mine.clock == theirs.clock,
        };
        offered.iter().find(same)
    };
    let known: Vec<_> = answered
        .iter()
        .filter(|codec| ours(codec).is_some())
        .collect();
    let sounds = || {
        known
            .iter()
            .copied()
            .filter(|codec| Encoding::of(codec).is_some())
    };
    let relayed = other
        .iter()
        .filter_map(Encoding::of)
        .find_map(|encoding| sounds().find(|codec| Encoding::of(codec) == Some(encoding)));
    let send = relayed.or_else(|| sounds().next())?;
    let encoding = Encoding::of(send)?;
    let first = ours(send)?;
    let rest = known.iter().filter_map(|codec| ours(codec));
    let rest = rest.filter(|codec| codec.id != first.id);
    Some(Choice {
        ours: std::iter::once(first).chain(rest).cloned().collect(),
        send: as_sent(encoding, send),
        events: best_events(known.iter().copied(), encoding),
    })
}

/// Whether `codec` carries telephone events (RFC 4733).
pub(super) fn is_events(codec: &Codec) -> bool {
    codec.name.eq_ignore_ascii_case("telephone-event")
}

/// Events with the clock of the codec beside them, or else any: older PBXs list 8000 only, even
/// beside opus, and count in it.
fn best_events<'a>(codecs: impl Iterator<Item = &'a Codec>, encoding: Encoding) -> Option<Codec> {
    let known = codecs.filter(|codec| is_events(codec) && matches!(codec.clock, 8000 | 48000));
    let best = known.min_by_key(|codec| codec.clock != encoding.clock())?;
    Some(events(best.id, best.clock))
}

/// The other side's codec by its proper name and clock, with its own number and wishes.
fn as_sent(encoding: Encoding, theirs: &Codec) -> Codec {
    let mut sent = codec(encoding, theirs.id, &[]);
    sent.parameters.clone_from(&theirs.parameters);
    sent.ptime = theirs.ptime;
    sent.maxptime = theirs.maxptime;
    sent
}

/// A codec as we list it. Where the other leg has it too, packets are relayed as they are, so that
/// leg's wishes are told to this one.
fn codec(encoding: Encoding, id: u8, other: &[Codec]) -> Codec {
    let (name, clock, channels) = encoding.spelling();
    let relayed = other
        .iter()
        .find(|codec| Encoding::of(codec) == Some(encoding));
    Codec {
        id,
        name: name.to_owned(),
        clock,
        channels,
        parameters: match encoding {
            Encoding::Opus => opus_parameters(relayed),
            Encoding::G722 | Encoding::Pcma | Encoding::Pcmu => Vec::new(),
        },
        feedback: Vec::new(),
        ptime: relayed.and_then(|codec| codec.ptime),
        maxptime: relayed.and_then(|codec| codec.maxptime),
    }
}

/// What an opus decoder wants to be sent: the other leg's wishes where it has opus, else ours.
fn opus_parameters(relayed: Option<&Codec>) -> Vec<(String, String)> {
    let Some(relayed) = relayed else {
        return [("minptime", "10"), ("useinbandfec", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    };
    let known = relayed.parameters.iter().filter(|(name, value)| {
        let number = (1..=6).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        number && OPUS_PARAMETERS.contains(&name.as_str())
    });
    known.take(OPUS_PARAMETERS.len()).cloned().collect()
}

fn events(id: u8, clock: u32) -> Codec {
    Codec {
        id,
        name: "telephone-event".to_owned(),
        clock,
        channels: 1,
        parameters: vec![(String::new(), "0-15".to_owned())],
        feedback: Vec::new(),
        ptime: None,
        maxptime: None,
    }
}

/// `usual`, or the first dynamic payload type that nothing has.
fn free_id(usual: u8, before: &[Codec], now: &[Codec]) -> u8 {
    let taken = |id: &u8| before.iter().chain(now).any(|codec| codec.id == *id);
    let mut candidates = std::iter::once(usual).chain(96..=127);
    candidates.find(|id| !taken(id)).unwrap_or(usual)
}

/// Parameters that cross from leg to leg, all of them numbers (RFC 7587).
const OPUS_PARAMETERS: [&str; 9] = [
    "maxplaybackrate",
    "sprop-maxcapturerate",
    "minptime",
    "maxaveragebitrate",
    "stereo",
    "sprop-stereo",
    "cbr",
    "useinbandfec",
    "usedtx",
];

#[cfg(test)]
mod tests;
