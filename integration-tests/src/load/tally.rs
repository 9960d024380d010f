//! What became of every message of one run.
//!
//! Invariant: a number is settled once; what comes later is counted, and changes nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::end::Heard;
use super::latency::Latencies;
use super::meter::Reading;
use super::text::Number;

/// What settles a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Its arrival.
    ByDelivery,
    /// The answer its sender gets.
    ByAnswer,
}

/// The messages of one run.
#[derive(Debug)]
pub struct Tally {
    settled_by: Settled,
    first: Number,
    records: Vec<Record>,
    open: usize,
    owed: usize,
    /// Latencies of messages sent within this time.
    measured: Option<(Instant, Option<Instant>)>,
    result: Outcome,
}

#[derive(Debug)]
struct Record {
    due: Instant,
    conversation: u32,
    is_delivered: bool,
    is_settled: bool,
    /// Its sender was told that it arrived before it did.
    is_owed: bool,
}

/// The sums.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Messages sent.
    pub sent: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages whose sender was told that they arrived.
    pub answered: u64,
    /// Messages whose sender was told that they did not, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Messages that arrived more than once, in other requests.
    pub repeated: u64,
    /// Copies of requests that had arrived.
    pub retransmitted: u64,
    /// Messages that neither arrived nor were refused.
    pub lost: u64,
    /// Messages said to have arrived that did not.
    pub lied: u64,
    /// From sending to arrival.
    pub delivery: Latencies,
    /// From sending to the answer.
    pub answer: Latencies,
    /// Messages settled within the measured time.
    pub settled: u64,
    /// The measured time.
    pub time: Duration,
    /// CPU used within the measured time.
    pub cpu: Reading,
}

impl Outcome {
    /// Messages per second.
    pub fn rate(&self) -> f64 {
        self.settled as f64 / self.time.as_secs_f64().max(1e-9)
    }

    /// How many were refused.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl Tally {
    /// Nothing sent; numbers go on from `first`.
    pub fn new(settled_by: Settled, first: Number) -> Self {
        Self {
            settled_by,
            first,
            records: Vec::new(),
            open: 0,
            owed: 0,
            measured: None,
            result: Outcome::default(),
        }
    }

    /// A message due at `due` is sent: its number.
    pub fn send(&mut self, conversation: u32, due: Instant) -> Number {
        self.records.push(Record {
            due,
            conversation,
            is_delivered: false,
            is_settled: false,
            is_owed: false,
        });
        self.open += 1;
        self.result.sent += 1;
        self.first + self.records.len() as Number - 1
    }

    /// Messages that are not settled.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Messages said to have arrived that did not yet: the server may be slower to one end than to the other.
    pub fn owed(&self) -> usize {
        self.owed
    }

    /// The conversation of a message that is not settled.
    pub fn find_open(&self, number: Number) -> Option<u32> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let record = self.records.get(at).filter(|record| !record.is_settled)?;
        Some(record.conversation)
    }

    /// From now on until [`Tally::stop_measuring`], messages count.
    pub fn start_measuring(&mut self, now: Instant) {
        self.measured = Some((now, None));
    }

    /// Ends the measured time.
    pub fn stop_measuring(&mut self, now: Instant, cpu: Reading) {
        if let Some((start, end)) = &mut self.measured {
            *end = Some(now);
            (self.result.time, self.result.cpu) = (now - *start, cpu);
        }
    }

    /// Takes what an end heard; returns the conversation of a message that this settled.
    pub fn handle(&mut self, heard: Heard, now: Instant) -> Option<u32> {
        let (Heard::Delivered(number)
        | Heard::Retransmitted(number)
        | Heard::Answered(number)
        | Heard::Refused(number, _)) = heard;
        // Stragglers of an earlier run have a smaller number.
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let record = self.records.get_mut(at)?;
        let latency = now.saturating_duration_since(record.due);
        let (is_measured, is_now) = match self.measured {
            None => (false, false),
            Some((start, end)) => (
                record.due >= start && end.is_none_or(|end| record.due < end),
                end.is_none(),
            ),
        };
        let settles = match (&heard, self.settled_by) {
            (Heard::Delivered(_), by) => {
                if std::mem::replace(&mut record.is_delivered, true) {
                    self.result.repeated += 1;
                    return None;
                }
                self.result.delivered += 1;
                self.owed -= usize::from(std::mem::take(&mut record.is_owed));
                if is_measured {
                    self.result.delivery.add(latency);
                }
                by == Settled::ByDelivery
            }
            (Heard::Retransmitted(_), _) => {
                self.result.retransmitted += 1;
                return None;
            }
            (Heard::Answered(_), by) => {
                if record.is_settled {
                    return None;
                }
                self.result.answered += 1;
                record.is_owed = !record.is_delivered;
                self.owed += usize::from(record.is_owed);
                if is_measured {
                    self.result.answer.add(latency);
                }
                by == Settled::ByAnswer
            }
            (Heard::Refused(..), _) => !record.is_settled,
        };
        if !settles || record.is_settled {
            return None;
        }
        record.is_settled = true;
        self.open -= 1;
        match heard {
            Heard::Refused(_, reason) => *self.result.refused.entry(reason).or_default() += 1,
            Heard::Delivered(_) | Heard::Retransmitted(_) | Heard::Answered(_) => {
                self.result.settled += u64::from(is_now)
            }
        }
        Some(record.conversation)
    }

    /// The sums; what is still open is lost.
    pub fn finish(mut self) -> Outcome {
        self.result.lost = self.open as u64;
        self.result.lied = self.owed as u64;
        self.result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_settled_once() {
        let now = Instant::now();
        let mut tally = Tally::new(Settled::ByAnswer, 100);
        tally.start_measuring(now);
        let numbers: Vec<Number> = (0..3).map(|c| tally.send(c, now)).collect();
        assert_eq!(numbers, [100, 101, 102]);
        assert_eq!(tally.handle(Heard::Delivered(100), now), None);
        assert_eq!(tally.handle(Heard::Delivered(100), now), None);
        assert_eq!(tally.handle(Heard::Answered(100), now), Some(0));
        assert_eq!(tally.handle(Heard::Answered(100), now), None);
        assert_eq!(
            tally.handle(Heard::Refused(101, "480".into()), now),
            Some(1)
        );
        assert_eq!(tally.handle(Heard::Delivered(99), now), None);
        let outcome = tally.finish();
        assert_eq!(
            (outcome.sent, outcome.delivered, outcome.answered),
            (3, 1, 1)
        );
        assert_eq!(
            (outcome.refusals(), outcome.repeated, outcome.lost),
            (1, 1, 1)
        );
    }

    #[test]
    fn who_was_told_too_early_is_owed_a_message() {
        let now = Instant::now();
        let mut tally = Tally::new(Settled::ByAnswer, 0);
        for conversation in 0..2 {
            let number = tally.send(conversation, now);
            tally.handle(Heard::Answered(number), now);
        }
        assert_eq!((tally.open(), tally.owed()), (0, 2));
        tally.handle(Heard::Delivered(1), now);
        assert_eq!(tally.owed(), 1);
        assert_eq!(tally.finish().lied, 1);
    }
}
