//! Calls that users began and that are over, for a while.
//!
//! A client whose stream is resumed sends again what its server did not acknowledge (XEP-0198). A
//! proposal that comes so after its call has ended is no new call.

use super::closing::OpenKey;
use super::leg::Leg;
use crate::jingle::Party;
use crate::message::recent::Recent;
use jid::Jid;
use std::time::{Duration, Instant};

/// How long they are known; servers keep a lost stream for less.
const KEEP: Duration = Duration::from_secs(15 * 60);
/// How many are.
const MAX: usize = 100_000;

/// What an id was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Used {
    /// A proposal that led to no session.
    Proposal,
    /// A session.
    Session,
}

/// Ids that are over.
#[derive(Debug)]
pub(super) struct Past {
    known: Recent<OpenKey, (Jid, Used)>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            known: Recent::new(KEEP, MAX),
        }
    }
}

impl Past {
    /// `leg` is over.
    pub(super) fn remember_leg(&mut self, leg: &Leg, now: Instant) {
        // Our own ids are never used twice.
        if leg.role == Party::Responder {
            let used = match leg.theirs {
                Some(_) => Used::Session,
                None => Used::Proposal,
            };
            self.remember(OpenKey::new(&leg.user, &leg.sid), &leg.user, used, now);
        }
    }

    /// What `device` used `key` for is over, or never came about.
    pub(super) fn remember(&mut self, key: OpenKey, device: &Jid, used: Used, now: Instant) {
        self.known.insert(key, (device.clone(), used), now);
    }

    /// Whether the user had a call with the id of `key`.
    pub(super) fn has_call(&mut self, key: &OpenKey, now: Instant) -> bool {
        self.known.get(key, now).is_some()
    }

    /// What this very `device` used `key` for.
    pub(super) fn used_by(&mut self, device: &Jid, key: &OpenKey, now: Instant) -> Option<Used> {
        let known = self.known.get(key, now);
        known
            .filter(|(known, _)| known == device)
            .map(|(_, used)| *used)
    }
}
