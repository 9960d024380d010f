//! How long an answered call lasts: as long as any may, and as long as its user has minutes left (specs T1).
//!
//! What a call uses is counted while it goes on, each minute, so that calls at the same time share what is
//! left of the day, and end when it is used up, whoever of them used it.

use std::time::{Duration, Instant};

use tandem_shared::call::{CallId, End, EndReason};

use super::{Call, Calls, Context, Stage};

/// What is known of an answered call's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting {
    /// Until when its time was counted.
    counted: Instant,
    /// When it is over in any case.
    until: Option<Instant>,
}

impl Calls {
    /// A call is answered: from now on it lasts, whoever takes somebody's place in it later.
    pub(super) fn set_up(&mut self, id: &CallId, cx: &mut Context<'_>) {
        self.timers.cancel(id);
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.stage = Stage::Up;
        // Nobody who needs help is cut off.
        let longest = cx.settings.call.longest.filter(|_| !call.emergency);
        call.lasting.get_or_insert(Lasting {
            counted: cx.now,
            until: longest.map(|longest| cx.now + longest),
        });
        self.review(id, cx);
    }

    /// Counts the time of an answered call, and ends it if there is no more.
    pub(super) fn review(&mut self, id: &CallId, cx: &mut Context<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.count(cx);
        let left = call.left(cx);
        let until = call.lasting.and_then(|lasting| lasting.until);
        let used_up = left.filter(|(left, _)| left.is_zero());
        let why = match until {
            Some(until) if until <= cx.now => Some(TOO_LONG),
            Some(_) | None => used_up.map(|(_, why)| why),
        };
        if let Some(why) = why {
            let end = End::new(EndReason::Success).with_text(why);
            return self.end_both(id, end, cx);
        }
        let next = left.map(|(left, _)| cx.now + left.min(EACH));
        let next = next.into_iter().chain(until).min();
        if let Some(at) = next {
            self.timers.set(id.clone(), at);
        }
    }
}

impl Call {
    /// How long its user may still talk, and why no longer; nothing where there is no bound.
    fn left(&self, cx: &mut Context<'_>) -> Option<(Duration, &'static str)> {
        let user = self.user.as_ref()?;
        cx.usage
            .longest(user, &cx.settings.policy.allowance, cx.now)
    }

    /// Counts what it has lasted and is not counted yet.
    pub(super) fn count(&mut self, cx: &mut Context<'_>) {
        let (Some(user), Some(lasting)) = (&self.user, &mut self.lasting) else {
            return;
        };
        let seconds = (cx.now - lasting.counted).as_secs();
        lasting.counted += Duration::from_secs(seconds);
        let allowance = &cx.settings.policy.allowance;
        cx.usage.talk(user, seconds, allowance, cx.now);
    }
}

const TOO_LONG: &str = "The call has lasted for as long as calls may.";
/// How often the time of a call is counted, at least.
const EACH: Duration = Duration::from_secs(60);
