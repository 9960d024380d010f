//! Drives both ends: a closed loop finds the limit, an open loop keeps a rate whatever happens.
//!
//! Invariant: latency counts from when a message was due, so a stall is not hidden by the load
//! having waited with it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::end::End;
use super::meter::{Meter, difference};
use super::tally::{Outcome, Settled, Tally};
use super::text::Number;

/// How much load, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// When the next message is due.
    pub pace: Pace,
    /// Between how many pairs of users.
    pub conversations: u32,
    /// Sent before the measured time.
    pub settle: Duration,
    /// The measured time.
    pub measure: Duration,
    /// How long to wait for what is open then.
    pub patience: Duration,
    /// Whether a conversation waits for the end of its last message (RFC 3428 §8).
    pub in_turn: bool,
}

/// When the next message is due.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as fewer than this many are open.
    Window(usize),
    /// This many in a second.
    Rate(f64),
    /// One for each conversation, at most this many open, then no more.
    Once(usize),
}

/// Both ends of all conversations, and who pays for them.
pub struct Drive<'a> {
    /// Where messages begin.
    pub source: &'a mut dyn End,
    /// Where they arrive.
    pub sink: &'a mut dyn End,
    /// The processes in between.
    pub meter: &'a Meter,
    /// What settles a message.
    pub settled_by: Settled,
    /// The next number; a run leaves it behind its own.
    pub next: &'a mut Number,
}

impl Drive<'_> {
    /// Runs `load` to its end.
    pub fn run(&mut self, load: Load) -> Result<Outcome> {
        let start = Instant::now();
        let (from, until) = (start + load.settle, start + load.settle + load.measure);
        let mut tally = Tally::new(self.settled_by, *self.next);
        let mut sender = Sender::new(load, start);
        let mut retries = Retries::new(self.source.retries());
        let (mut before, mut is_measured) = (None, false);
        let mut heard = Vec::new();
        loop {
            let now = Instant::now();
            if before.is_none() && now >= from {
                before = Some(self.meter.read()?);
                tally.start_measuring(now);
            }
            let is_over = now >= until || sender.is_done();
            if let (Some(before), true, false) = (&before, is_over && now >= from, is_measured) {
                is_measured = true;
                tally.stop_measuring(now, difference(before, &self.meter.read()?));
            }
            let is_complete = tally.open() == 0 && tally.owed() == 0;
            if is_over && (is_complete || now >= until + load.patience) {
                break;
            }
            if !is_over {
                sender.send(self.source, &mut tally, &mut retries, now);
            }
            retries.repeat(self.source, &tally, now);
            self.source.flush()?;
            self.sink.flush()?;
            self.wait(sender.pause(now, is_over))?;
            self.source.hear(&mut heard)?;
            self.sink.hear(&mut heard)?;
            let now = Instant::now();
            for heard in heard.drain(..) {
                let settled = tally.handle(heard, now);
                sender.idle.extend(settled.filter(|_| load.in_turn));
            }
        }
        let outcome = tally.finish();
        *self.next += outcome.sent;
        Ok(outcome)
    }

    fn wait(&self, pause: Duration) -> Result<()> {
        let mut ends = [&*self.source, &*self.sink].map(|end| {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, end.is_waiting());
            PollFd::new(end.descriptor(), flags)
        });
        ppoll(&mut ends, Some(TimeSpec::from_duration(pause)), None)?;
        Ok(())
    }
}

/// Decides what is sent next.
struct Sender {
    load: Load,
    start: Instant,
    sent: u64,
    idle: VecDeque<u32>,
}

impl Sender {
    fn new(load: Load, start: Instant) -> Self {
        Self {
            load,
            start,
            sent: 0,
            idle: (0..load.conversations).collect(),
        }
    }

    /// When message `index` of a rate is due.
    fn due(&self, index: u64, rate: f64) -> Instant {
        self.start + Duration::from_secs_f64(index as f64 / rate)
    }

    fn is_done(&self) -> bool {
        matches!(self.load.pace, Pace::Once(_)) && self.sent == u64::from(self.load.conversations)
    }

    fn send(
        &mut self,
        source: &mut dyn End,
        tally: &mut Tally,
        retries: &mut Retries,
        now: Instant,
    ) {
        for _ in 0..BURST {
            let due = match self.load.pace {
                Pace::Rate(rate) => self.due(self.sent, rate),
                Pace::Window(max) | Pace::Once(max) if tally.open() < max => now,
                Pace::Window(_) | Pace::Once(_) => return,
            };
            if due > now || self.is_done() {
                return;
            }
            let Some(conversation) = self.idle.pop_front() else {
                return;
            };
            if !self.load.in_turn {
                self.idle.push_back(conversation);
            }
            let number = tally.send(conversation, due);
            source.send(number, conversation);
            retries.add(number, now);
            self.sent += 1;
        }
    }

    /// How long to wait for something to be heard.
    fn pause(&self, now: Instant, is_over: bool) -> Duration {
        match self.load.pace {
            Pace::Rate(rate) if !is_over => self
                .due(self.sent, rate)
                .saturating_duration_since(now)
                .clamp(GRAIN, LONGEST),
            Pace::Rate(_) | Pace::Window(_) | Pace::Once(_) => LONGEST,
        }
    }
}

/// Messages to be sent again when nobody answers. Each stage waits equally long, so each is a queue.
struct Retries {
    stages: Vec<(Duration, VecDeque<(Instant, Number)>)>,
}

impl Retries {
    fn new(waits: &[f64]) -> Self {
        let stage = |wait: &f64| (Duration::from_secs_f64(*wait), VecDeque::new());
        Self {
            stages: waits.iter().map(stage).collect(),
        }
    }

    fn add(&mut self, number: Number, now: Instant) {
        if let Some((wait, queue)) = self.stages.first_mut() {
            queue.push_back((now + *wait, number));
        }
    }

    fn repeat(&mut self, source: &mut dyn End, tally: &Tally, now: Instant) {
        let mut late = Vec::new();
        for (wait, queue) in &mut self.stages {
            for (number, conversation) in late.drain(..) {
                source.send(number, conversation);
                queue.push_back((now + *wait, number));
            }
            while let Some((_, number)) = queue.pop_front_if(|(at, _)| *at <= now) {
                late.extend(tally.find_open(number).map(|open| (number, open)));
            }
        }
        // Those late in the last stage are given up.
    }
}

/// Messages sent before anything is heard again.
const BURST: usize = 256;
/// The shortest wait: at high rates messages leave in small groups, as they come from many users.
const GRAIN: Duration = Duration::from_micros(200);
const LONGEST: Duration = Duration::from_millis(50);
