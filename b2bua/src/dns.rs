//! What is known of names: answers for as long as they live, and what is still to be asked
//! (RFC 3263; RFC 2308 for what is not there).
//!
//! No I/O: [`Dns::locate`] says what it needs to know, the shell asks, [`Dns::handle_answer`] takes
//! what it heard. An answer whose life is over serves while the name is asked for again, and goes on
//! serving when nobody answers.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tandem_shared::mint::Mint;

use crate::sip::Hop;

mod locate;
mod order;
mod penalty;

pub use locate::Place;
pub(crate) use order::by_weight;
pub use penalty::Whose;

use penalty::Penalties;

/// One question to the name servers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Query {
    /// Which services a domain has (RFC 3263 §4.1).
    Naptr(Box<str>),
    /// Where a service of a domain is (RFC 2782).
    Srv(Box<str>),
    /// The addresses of a host, A and AAAA.
    Addresses(Box<str>),
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// For [`Query::Naptr`].
    Naptr(Vec<Naptr>),
    /// For [`Query::Srv`].
    Srv(Vec<Srv>),
    /// For [`Query::Addresses`].
    Addresses(Vec<IpAddr>),
}

/// A NAPTR record without regular expression (RFC 3403).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lowest first.
    pub order: u16,
    /// Lowest first among those of the same order.
    pub preference: u16,
    /// `s` where the replacement has SRV records.
    pub flags: Box<str>,
    /// For example `SIP+D2T`.
    pub service: Box<str>,
    /// The name to ask next.
    pub replacement: Box<str>,
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lowest first.
    pub priority: u16,
    /// The share among those of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host.
    pub target: Box<str>,
}

/// What a question led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There are such records, for so long. None of them is an answer too.
    Found(Records, Duration),
    /// Nobody answered, or the answer makes no sense.
    Failed,
}

/// What is known of where a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// Try these in this order; none when there are none.
    Hops(Vec<Hop>),
    /// Not known yet: [`Dns::handle_answer`] will be called.
    Wait,
}

/// The cache.
#[derive(Debug, Default)]
pub struct Dns {
    known: HashMap<Query, Entry>,
    /// Asked, and when the question is given up.
    asked: BTreeMap<Query, Instant>,
    /// To be asked.
    wanted: Vec<Query>,
    penalties: Penalties,
}

#[derive(Debug)]
struct Entry {
    /// `None` when nobody answered.
    records: Option<Records>,
    until: Instant,
}

impl Dns {
    /// Where requests to `place` go, best first; places that failed lately come last.
    pub fn locate(
        &mut self,
        whose: Whose,
        place: &Place,
        mint: &mut Mint,
        now: Instant,
    ) -> Located {
        let mut missing = Vec::new();
        let mut stale = Vec::new();
        let found = {
            let mut lookup = |query: Query| match self.known.get(&query) {
                Some(entry) => {
                    if entry.until <= now {
                        stale.push(query);
                    }
                    Some(entry.records.as_ref())
                }
                None => {
                    missing.push(query);
                    None
                }
            };
            locate::hops(place, &mut lookup, mint)
        };
        for query in missing.iter().chain(&stale) {
            self.ask(query, now);
        }
        if !missing.is_empty() {
            return Located::Wait;
        }
        let (good, bad): (Vec<Hop>, Vec<Hop>) = found
            .into_iter()
            .partition(|hop| !self.is_penalised(whose, hop, now));
        Located::Hops(good.into_iter().chain(bad).collect())
    }

    /// Takes what a question led to.
    pub fn handle_answer(&mut self, query: Query, answer: Answer, now: Instant) {
        self.asked.remove(&query);
        let (records, life) = match answer {
            Answer::Found(records, life) => (Some(records), life.clamp(MIN_LIFE, MAX_LIFE)),
            Answer::Failed => match self.known.get_mut(&query) {
                // What was known holds on until somebody answers.
                Some(entry) => {
                    entry.until = now + AFTER_FAILURE;
                    return;
                }
                None => (None, AFTER_FAILURE),
            },
        };
        if self.known.len() >= MAX_ENTRIES {
            self.known.retain(|_, entry| entry.until > now);
        }
        if self.known.len() >= MAX_ENTRIES {
            self.known.clear();
        }
        let until = now + life;
        self.known.insert(query, Entry { records, until });
    }

    /// `hop` did not answer, or said 503: it comes last for `pause`.
    pub fn penalise(&mut self, whose: Whose, hop: &Hop, pause: Duration, now: Instant) {
        self.penalties.set(whose, hop, pause, now);
    }

    /// `hop` answered.
    pub fn pardon(&mut self, whose: Whose, hop: &Hop) {
        self.penalties.lift(whose, hop);
    }

    /// The next question to ask.
    pub fn poll_query(&mut self) -> Option<Query> {
        self.wanted.pop()
    }

    /// Whether `hop` failed lately.
    #[must_use]
    pub fn is_penalised(&self, whose: Whose, hop: &Hop, now: Instant) -> bool {
        self.penalties.holds(whose, hop, now)
    }

    fn ask(&mut self, query: &Query, now: Instant) {
        if self.asked.get(query).is_some_and(|until| *until > now) {
            return;
        }
        self.asked.insert(query.clone(), now + LOST);
        self.wanted.push(query.clone());
    }
}

/// How long a penalty is where the peer names none.
pub const PENALTY: Duration = Duration::from_secs(30);
/// Most answers and penalties kept.
const MAX_ENTRIES: usize = 2048;
/// The shortest life: a record of life 0 still serves the request it was asked for.
const MIN_LIFE: Duration = Duration::from_secs(1);
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a name nobody could answer for is not asked for again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// After so long a question is asked again although there is no answer.
const LOST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
