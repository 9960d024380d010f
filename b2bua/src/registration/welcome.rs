//! Whose requests a registration lets in: those of where it is, for as long as the registrar keeps it, though
//! it may not answer just now; and those of where it was, while calls go on that began there.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tandem_shared::timers::Timers;

use super::{Context, Registrations};
use crate::trunk::FlowId;

/// Until when each is kept, and when that is looked at.
#[derive(Debug, Default)]
pub(super) struct Welcomes {
    until: BTreeMap<FlowId, Instant>,
    reviews: Timers<FlowId>,
}

impl Welcomes {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.reviews.next()
    }
}

impl Registrations {
    /// A flow is registered at `place` for so long.
    pub(super) fn welcome(
        &mut self,
        id: FlowId,
        place: Option<IpAddr>,
        life: Duration,
        cx: &Context<'_>,
    ) {
        let Some(place) = place else {
            return;
        };
        let until = cx.now + life;
        self.welcomes.until.insert(id, until);
        match cx.settings.trunks.welcome(id, place) {
            // What is under way from there has so long, call or not.
            (true, true) => self.welcomes.reviews.set(id, until.min(cx.now + REVIEW)),
            // That will be reviewed, and this with it.
            (false, true) => {}
            (_, false) => self.welcomes.reviews.set(id, until),
        }
    }

    /// Nobody keeps a flow any more.
    pub(super) fn unwelcome(&mut self, id: FlowId, cx: &Context<'_>) {
        self.welcomes.until.remove(&id);
        self.review(id, cx);
    }

    /// Lets every timer due fire.
    pub(super) fn review_welcomes(&mut self, cx: &Context<'_>) {
        while let Some(id) = self.welcomes.reviews.pop(cx.now) {
            self.review(id, cx);
        }
    }

    fn review(&mut self, id: FlowId, cx: &Context<'_>) {
        let until = self.welcomes.until.get(&id).copied();
        let until = until.filter(|until| *until > cx.now);
        let has_calls = cx.states.calls(id.trunk) > 0;
        let trunks = &cx.settings.trunks;
        let left = trunks.review(id, until.is_some(), has_calls);
        let later = left.then_some(cx.now + REVIEW);
        match until.into_iter().chain(later).min() {
            Some(at) => self.welcomes.reviews.set(id, at),
            None => {
                self.welcomes.until.remove(&id);
                self.welcomes.reviews.cancel(&id);
            }
        }
    }
}

/// How often it is looked whether a former place is needed.
const REVIEW: Duration = Duration::from_secs(60);
