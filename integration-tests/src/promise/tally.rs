//! How many messages ended in which class.
//!
//! Invariant: every number of a plan is counted in exactly one class.

use std::collections::BTreeMap;
use std::fmt;

/// How one message ended. The order is that of the printed counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It arrived once, and its sender was told nothing else.
    Once,
    /// It arrived more than once, within the bound of doubt.
    Again,
    /// Its sender was told why it was not delivered.
    Refused,
    /// Its sender was told that it may not have been delivered, or to try again, and it was.
    Doubt,
    /// The server turned it away, since the gateway was not there.
    TurnedAway,
    /// It was refused and the error handed to a server that was killed, or whose user was away.
    Unheard,
    /// Its sender's Timer F ended the wait (RFC 3261 §17.1.2.2).
    GivenUp,
    /// Its sender was killed before it was told.
    SenderDied,
    /// Not covered: sent, and not committed when the component or the server was killed.
    Uncommitted,
    /// Not covered: the server had it and forgot it when it was killed.
    InsideServer,
}

/// The counts of both directions.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// From XMPP to SIP.
    pub to_sip: BTreeMap<Class, usize>,
    /// From SIP to XMPP.
    pub to_xmpp: BTreeMap<Class, usize>,
    /// Surplus copies that arrived, to SIP and to XMPP.
    pub surplus: (usize, usize),
    /// Deaths.
    pub deaths: usize,
}

impl Tally {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.to_sip, &other.to_sip),
            (&mut self.to_xmpp, &other.to_xmpp),
        ] {
            for (class, count) in theirs {
                *mine.entry(*class).or_default() += count;
            }
        }
        self.surplus.0 += other.surplus.0;
        self.surplus.1 += other.surplus.1;
        self.deaths += other.deaths;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kills", self.deaths)?;
        let directions = [
            ("to SIP", &self.to_sip, self.surplus.0),
            ("to XMPP", &self.to_xmpp, self.surplus.1),
        ];
        for (name, counts, surplus) in directions {
            write!(f, "; {name} {}:", counts.values().sum::<usize>())?;
            for (class, count) in counts {
                write!(f, " {class:?} {count}")?;
            }
            write!(f, " (surplus copies {surplus})")?;
        }
        Ok(())
    }
}
