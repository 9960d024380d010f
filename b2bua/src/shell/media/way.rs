//! One way of a call: from what a leg sends to what the other one wants.

use std::time::Instant;

use bytes::Bytes;
use tandem_shared::media::Codec;

use super::dtmf::Change;
use super::packet::Header;
use super::settings::Timing;
use super::stream::Stream;
use super::transcode::{Encoded, Transcoder};

/// How sound gets from one leg to the other.
#[derive(Default)]
pub(super) struct Way {
    state: State,
    /// For the report.
    pub(super) path: String,
}

#[derive(Default)]
enum State {
    /// Nothing has come yet, or what was agreed has changed.
    #[default]
    Idle,
    /// Packets are passed on with other numbers.
    Relayed { from: u8, place: Place },
    /// Packets are made anew.
    Transcoded {
        from: u8,
        transcoder: Box<Transcoder>,
    },
    /// There is no way from this payload type to what the other leg wants.
    Impossible { from: u8 },
}

/// How the numbers of a source become ours.
#[derive(Debug, Clone, Copy)]
struct Place {
    theirs: u64,
    ours: u64,
    ahead: u32,
}

impl Way {
    /// What was agreed has changed on either leg.
    pub(super) fn reset(&mut self) {
        self.state = State::Idle;
    }

    /// Carries a packet with sound; what is to be sent comes out.
    #[expect(
        clippy::too_many_arguments,
        reason = "a packet, its two legs, and the time"
    )]
    pub(super) fn carry(
        &mut self,
        (header, number, first): (&Header, u64, bool),
        payload: &[u8],
        from: &Stream,
        to: &mut Stream,
        timing: &Timing,
        now: Instant,
        out: &mut Vec<Bytes>,
    ) {
        if !to.takes() {
            self.state = State::Idle;
            return;
        }
        let is_new = first || self.payload_type() != Some(header.payload_type);
        if is_new {
            self.begin(header, number, from, to, timing, now);
        }
        let Some(send) = to.flow().map(|flow| flow.send.id) else {
            return;
        };
        match &mut self.state {
            State::Idle | State::Impossible { .. } => {}
            State::Relayed { place, .. } => {
                let ours = place.number(number, to.sending.highest());
                // While a key is played, sound gives way; what is left out leaves no gap.
                if to.playing.is_busy() {
                    place.skip(number);
                    return;
                }
                place.note(number, ours);
                let timestamp = header.timestamp.wrapping_add(place.ahead);
                let kind = (send, header.marker || is_new);
                out.extend(to.send(kind, ours, timestamp, payload, now));
            }
            State::Transcoded { transcoder, .. } => {
                let begin = to.clock(now).1;
                let mut encoded = Vec::new();
                let timestamp = header.timestamp;
                transcoder.push(number, timestamp, payload, begin, now, &mut encoded);
                send_encoded(encoded, send, to, now, out);
            }
        }
    }

    /// Carries a key; tells whether the other leg hears it.
    pub(super) fn carry_key(
        change: Change,
        clock: u32,
        to: &mut Stream,
        now: Instant,
        out: &mut Vec<Bytes>,
    ) -> bool {
        if !to.plays_events() {
            return false;
        }
        let (target, timestamp) = to.clock(now);
        let mut packets = Vec::new();
        to.playing
            .follow(change, (clock, target), timestamp, now, &mut packets);
        to.send_keys(packets, now, out);
        true
    }

    /// A packet that is not sound took a number of its source.
    pub(super) fn skip(&mut self, number: u64) {
        if let State::Relayed { place, .. } = &mut self.state {
            place.skip(number);
        }
    }

    pub(super) fn handle_timeout(&mut self, to: &mut Stream, now: Instant, out: &mut Vec<Bytes>) {
        let Some(send) = to.flow().map(|flow| flow.send.id) else {
            return;
        };
        if let State::Transcoded { transcoder, .. } = &mut self.state {
            let mut encoded = Vec::new();
            transcoder.handle_timeout(to.clock(now).1, now, &mut encoded);
            send_encoded(encoded, send, to, now, out);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Transcoded { transcoder, .. } => transcoder.deadline(),
            State::Idle | State::Relayed { .. } | State::Impossible { .. } => None,
        }
    }

    fn payload_type(&self) -> Option<u8> {
        match &self.state {
            State::Idle => None,
            State::Relayed { from, .. }
            | State::Transcoded { from, .. }
            | State::Impossible { from } => Some(*from),
        }
    }

    fn begin(
        &mut self,
        header: &Header,
        number: u64,
        from: &Stream,
        to: &Stream,
        timing: &Timing,
        now: Instant,
    ) {
        let id = header.payload_type;
        self.state = State::Impossible { from: id };
        let (Some(codec), Some(flow)) = (from.codec(id), to.flow()) else {
            return;
        };
        if is_same(codec, &flow.send) {
            self.path = format!("relayed {}", codec.name);
            let place = Place {
                theirs: number,
                ours: to.sending.highest() + 1,
                ahead: to.clock(now).1.wrapping_sub(header.timestamp),
            };
            self.state = State::Relayed { from: id, place };
        } else if let Some(transcoder) =
            Transcoder::new(codec, &flow.send, flow.ptime, timing.wait.clone())
        {
            self.path = format!("transcoded {} to {}", codec.name, flow.send.name);
            let transcoder = Box::new(transcoder);
            self.state = State::Transcoded {
                from: id,
                transcoder,
            };
        }
    }
}

impl Place {
    /// Our number for theirs. What was lost before us stays lost behind us, within reason.
    fn number(&self, theirs: u64, highest: u64) -> u64 {
        if theirs > self.theirs {
            let gap = theirs - self.theirs;
            let gap = if gap > GAP { 1 } else { gap };
            highest.max(self.ours) + gap
        } else {
            self.ours.saturating_sub(self.theirs - theirs)
        }
    }

    fn note(&mut self, theirs: u64, ours: u64) {
        if theirs > self.theirs {
            (self.theirs, self.ours) = (theirs, ours);
        }
    }

    fn skip(&mut self, theirs: u64) {
        self.theirs = self.theirs.max(theirs);
    }
}

fn send_encoded(
    encoded: Vec<Encoded>,
    send: u8,
    to: &mut Stream,
    now: Instant,
    out: &mut Vec<Bytes>,
) {
    for packet in encoded {
        if to.playing.is_busy() {
            continue;
        }
        let number = to.sending.highest() + 1;
        let kind = (send, packet.marker);
        out.extend(to.send(kind, number, packet.timestamp, &packet.payload, now));
    }
}

/// Whether packets of one can be passed on as the other. Opus' parameters only say what its author
/// likes; of codecs we do not know, all must agree.
fn is_same(a: &Codec, b: &Codec) -> bool {
    let name = a.name.eq_ignore_ascii_case(&b.name) && a.clock == b.clock;
    let known = super::codec::Kind::of(a).is_some();
    name && (known || (a.channels == b.channels && a.parameters == b.parameters))
}

/// Packets lost in a row that are shown as lost.
const GAP: u64 = 100;
