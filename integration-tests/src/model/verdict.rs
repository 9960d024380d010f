//! What must hold when a run has come to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CONTACTS, Conversation, Ledger, ToXmpp};

/// How often things happened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Messages to SIP that were delivered.
    pub delivered: usize,
    /// Messages to SIP whose sender heard an error.
    pub refused: usize,
    /// Deliveries beyond the first.
    pub twice: usize,
    /// Messages in the uncovered window.
    pub uncovered: usize,
    /// Requests answered 2xx.
    pub accepted: usize,
    /// Requests answered otherwise.
    pub rejected: usize,
    /// Requests never answered.
    pub given_up: usize,
}

impl Ledger {
    /// What is wrong when all has come to rest. With `kind`, nothing was to go wrong at all.
    #[must_use]
    pub fn verdict(mut self, kind: bool) -> (Vec<String>, Tally) {
        let tally = self.tally();
        for (number, message) in &self.to_sip {
            let ended = !message.delivered.is_empty() || !message.errors.is_empty();
            let covered = message.committed && message.stored || !message.uncovered;
            if !ended && covered {
                self.violations
                    .push(format!("x{number} was lost in silence: {message:?}"));
            }
            let doubt = ["remote-server-timeout"];
            let sure = message
                .errors
                .iter()
                .any(|error| !doubt.contains(&error.as_str()));
            if sure && !message.delivered.is_empty() && self.kills == 0 {
                self.violations
                    .push(format!("x{number} was delivered and refused: {message:?}"));
            }
        }
        for (number, request) in &self.to_xmpp {
            if request.status.is_none() && !request.given_up {
                self.violations
                    .push(format!("y{number} is still open: {request:?}"));
            }
            let until = request.until.unwrap_or(Duration::MAX);
            let open = request.since..=until;
            let during = self
                .interruptions
                .iter()
                .filter(|at| open.contains(*at))
                .count();
            if request.arrived.len() > 1 + during {
                self.violations
                    .push(format!("y{number} arrived too often: {request:?}"));
            }
        }
        self.check_copies();
        if self.lost_envelopes == 0 {
            self.check_order();
        }
        if kind && (tally.refused + tally.given_up + tally.twice + tally.uncovered) > 0 {
            self.violations
                .push(format!("nothing went wrong, and yet: {tally:?}"));
        }
        (self.violations, tally)
    }

    /// At most one message comes twice for each destination and kill, and one for each outcome
    /// that the bus may have lost before.
    fn check_copies(&mut self) {
        let most = self.kills + self.lost_envelopes;
        for contact in 0..CONTACTS {
            let mine = self
                .to_sip
                .values()
                .filter(|message| message.conversation.1 == contact);
            let copies: usize = mine
                .map(|message| message.delivered.len().saturating_sub(1))
                .sum();
            if copies > most {
                self.violations.push(format!(
                    "contact {contact} got {copies} messages twice, which is over {most}"
                ));
            }
        }
    }

    /// Within a conversation nothing comes for the first time when something written later has
    /// come for the last time. A request that was put off and arrived all the same is nobody's
    /// predecessor.
    fn check_order(&mut self) {
        let mut newest: BTreeMap<(bool, Conversation), (Duration, u32)> = BTreeMap::new();
        let to_sip = self.to_sip.iter();
        let to_sip = to_sip.map(|(n, m)| ((true, m.conversation), &m.seen, *n));
        let accepted = |request: &&ToXmpp| request.status.is_some_and(|status| status < 300);
        let to_xmpp = self.to_xmpp.iter().filter(|(_, request)| accepted(request));
        let to_xmpp = to_xmpp.map(|(n, m)| ((false, m.conversation), &m.arrived, *n));
        for (conversation, times, number) in to_sip.chain(to_xmpp) {
            let (Some(first), Some(last)) = (times.first(), times.last()) else {
                continue;
            };
            let (before, earlier) = newest.entry(conversation).or_insert((*first, number));
            if *last < *before {
                self.violations
                    .push(format!("{number} overtook {earlier} in {conversation:?}"));
            }
            if *first > *before {
                (*before, *earlier) = (*first, number);
            }
        }
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for message in self.to_sip.values() {
            tally.delivered += usize::from(!message.delivered.is_empty());
            tally.refused += usize::from(!message.errors.is_empty());
            tally.twice += message.delivered.len().saturating_sub(1);
            let ended = !message.delivered.is_empty() || !message.errors.is_empty();
            tally.uncovered += usize::from(!ended && message.uncovered);
        }
        for request in self.to_xmpp.values() {
            tally.accepted += usize::from(request.status.is_some_and(|status| status < 300));
            tally.rejected += usize::from(request.status.is_some_and(|status| status >= 300));
            tally.given_up += usize::from(request.given_up);
        }
        tally
    }
}
