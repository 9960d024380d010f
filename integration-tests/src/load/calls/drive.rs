//! Drives calls: so many a second, each ended as soon as it is answered, or kept.
//!
//! Invariant: the time of a call counts from when it was due.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use memchr::memmem;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::phones::Phones;
use super::users::Users;
use crate::load::case::Direction;
use crate::load::latency::Latencies;

/// Which call; counted through a whole run of the program.
pub type Number = u64;

/// What an end of a call was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is called.
    Begun,
    /// The other end answered.
    Answered,
    /// The call is over.
    Ended,
    /// The call did not come about.
    Refused,
}

/// How many, how fast, and what becomes of them.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Who calls.
    pub direction: Direction,
    /// Calls a second.
    pub rate: f64,
    /// For how long.
    pub time: Duration,
    /// Whether they are ended as soon as they are answered.
    pub ends: bool,
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Calls that were begun.
    pub begun: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those whose end both sides know.
    pub ended: u64,
    /// Those that were refused.
    pub refused: u64,
    /// From begun to answered, as the calling end has it.
    pub setup: Latencies,
    /// The measured time.
    pub time: Duration,
}

/// Both ends of all calls.
pub struct Drive {
    /// The users.
    pub users: Users,
    /// The phones.
    pub phones: Phones,
    /// The next call.
    pub next: Number,
}

#[derive(Debug)]
struct Open {
    due: Instant,
    ends_left: u8,
}

impl Drive {
    /// Runs `load` until everything has come to its end, or nothing more happens.
    pub fn run(&mut self, load: Load) -> Result<Outcome> {
        let start = Instant::now();
        let (mut outcome, mut open) = (Outcome::default(), HashMap::new());
        let (mut heard, mut latest) = (Vec::new(), start);
        let most = (load.rate * load.time.as_secs_f64()) as u64;
        loop {
            let now = Instant::now();
            let due = ((now - start).as_secs_f64() * load.rate) as u64;
            while outcome.begun < due.min(most) {
                outcome.begun += 1;
                self.next += 1;
                let due = start + Duration::from_secs_f64(outcome.begun as f64 / load.rate);
                open.insert(self.next, Open { due, ends_left: 2 });
                match load.direction {
                    Direction::ToSip => self.users.call(self.next),
                    Direction::ToXmpp => self.phones.call(self.next),
                }
            }
            self.users.flush()?;
            self.phones.flush()?;
            self.users.hear(|call, word| heard.push((call, word)))?;
            self.phones.hear(|call, word| heard.push((call, word)))?;
            if !heard.is_empty() {
                latest = now;
            }
            for (call, word) in heard.drain(..) {
                self.settle(load, call, word, &mut open, &mut outcome);
            }
            let is_over = outcome.begun == most && (open.is_empty() || now - latest > PATIENCE);
            let is_kept = !load.ends && outcome.answered + outcome.refused == most;
            if is_over || is_kept {
                self.users.flush()?;
                self.phones.flush()?;
                outcome.time = start.elapsed();
                return Ok(outcome);
            }
            self.wait()?;
        }
    }

    /// Answers whatever comes, and counts nothing.
    pub fn attend(&mut self) -> Result<()> {
        self.users.flush()?;
        self.phones.flush()?;
        self.users.hear(|_, _| {})?;
        self.phones.hear(|_, _| {})
    }

    fn settle(
        &mut self,
        load: Load,
        call: Number,
        word: Word,
        open: &mut HashMap<Number, Open>,
        outcome: &mut Outcome,
    ) {
        let Some(one) = open.get_mut(&call) else {
            return;
        };
        match word {
            Word::Begun => {}
            Word::Refused => {
                outcome.refused += 1;
                open.remove(&call);
            }
            Word::Answered => {
                outcome.answered += 1;
                outcome.setup.add(one.due.elapsed());
                if load.ends {
                    match load.direction {
                        Direction::ToSip => {
                            self.users.end(call, &format!("load-{call}"));
                            // Its answer says nothing about the other end.
                            one.ends_left = 1;
                        }
                        Direction::ToXmpp => self.phones.end(call),
                    }
                }
            }
            Word::Ended => {
                one.ends_left -= 1;
                if one.ends_left == 0 {
                    outcome.ended += 1;
                    open.remove(&call);
                }
            }
        }
    }

    fn wait(&self) -> Result<()> {
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, self.users.is_waiting());
        let mut ends = [
            PollFd::new(self.users.descriptor(), flags),
            PollFd::new(self.phones.descriptor(), PollFlags::POLLIN),
        ];
        ppoll(&mut ends, Some(TimeSpec::from_duration(NAP)), None)?;
        Ok(())
    }
}

/// The number that follows `mark` in `text`.
pub fn number_after(text: &[u8], mark: &[u8]) -> Option<Number> {
    let rest = text.get(memmem::find(text, mark)? + mark.len()..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0) * 10 + Number::from(digit - b'0'));
    }
    number
}

const NAP: Duration = Duration::from_micros(500);
/// After so long without any word nothing more is coming.
const PATIENCE: Duration = Duration::from_secs(5);
