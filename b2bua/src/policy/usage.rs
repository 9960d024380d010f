//! How much users have used, and whether they may use more (specs T1, T14).
//!
//! Kept in memory and bounded; a restart forgets it. What a minute or a day allows is counted by buckets that
//! refill evenly, so that nobody can spend two days' worth around midnight.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tandem_shared::address::Address;
use tandem_shared::refusal::{Reason, Refusal};

/// How much may be used; 0 for no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Messages a minute, of one user.
    pub user_messages: u32,
    /// Calls begun a minute, of one user.
    pub user_calls: u32,
    /// Calls at once, of one user.
    pub user_lines: u32,
    /// Minutes of calls a day, of one user.
    pub user_minutes: u32,
    /// Messages a minute, of all.
    pub all_messages: u32,
    /// Calls begun a minute, of all.
    pub all_calls: u32,
    /// Minutes of calls a day, of all.
    pub all_minutes: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            user_messages: 60,
            user_calls: 10,
            user_lines: 4,
            user_minutes: 600,
            all_messages: 0,
            all_calls: 0,
            all_minutes: 0,
        }
    }
}

impl Allowance {
    /// No bounds at all.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            user_messages: 0,
            user_calls: 0,
            user_lines: 0,
            user_minutes: 0,
            all_messages: 0,
            all_calls: 0,
            all_minutes: 0,
        }
    }
}

/// What was used.
#[derive(Debug, Default)]
pub struct Usage {
    users: HashMap<(String, String), Account>,
    all: Account,
}

#[derive(Debug, Default)]
struct Account {
    messages: Bucket,
    calls: Bucket,
    /// In seconds.
    talk: Bucket,
    /// Changes of accounts of its own, by the minute and by the hour.
    changes: Bucket,
    changes_of_hour: Bucket,
    lines: u32,
}

/// What is left of something that refills evenly.
#[derive(Debug, Default)]
struct Bucket {
    /// Used and not yet refilled, in millionths.
    used: u64,
    at: Option<Instant>,
}

impl Usage {
    /// A user sends a message.
    ///
    /// # Errors
    /// The refusal a user reads.
    pub fn take_message(
        &mut self,
        user: &Address,
        allowance: &Allowance,
        now: Instant,
    ) -> Result<(), Refusal> {
        if allowance.user_messages == 0 && allowance.all_messages == 0 {
            return Ok(());
        }
        let (of_user, of_all) = (allowance.user_messages, allowance.all_messages);
        let all = self.all.messages.has(of_all, MINUTE, now);
        let account = self.account(user, now);
        if !account.messages.has(of_user, MINUTE, now) {
            return Err(too_much("You write too many messages. Wait a minute."));
        }
        if !all {
            return Err(too_much(
                "Too many messages are written here. Try again later.",
            ));
        }
        account.messages.take(1, of_user, MINUTE, now);
        self.all.messages.take(1, of_all, MINUTE, now);
        Ok(())
    }

    /// A user gives an account of its own, or changes one: each makes the gateway talk to a provider.
    ///
    /// # Errors
    /// The refusal a user reads.
    pub fn take_change(&mut self, user: &Address, now: Instant) -> Result<(), Refusal> {
        let account = self.account(user, now);
        if !account.changes.has(CHANGES, MINUTE, now) {
            return Err(too_much(
                "You change your accounts too often. Wait a minute.",
            ));
        }
        if !account.changes_of_hour.has(CHANGES_OF_HOUR, HOUR, now) {
            return Err(too_much(
                "You change your accounts too often. Try again in an hour.",
            ));
        }
        account.changes.take(1, CHANGES, MINUTE, now);
        account.changes_of_hour.take(1, CHANGES_OF_HOUR, HOUR, now);
        Ok(())
    }

    /// A user begins a call; [`Usage::end_call`] has to follow.
    ///
    /// # Errors
    /// The refusal a user reads.
    pub fn begin_call(
        &mut self,
        user: &Address,
        allowance: &Allowance,
        now: Instant,
    ) -> Result<(), Refusal> {
        let all = self.all.calls.has(allowance.all_calls, MINUTE, now);
        let day = allowance.all_minutes.saturating_mul(60);
        let talk = self.all.talk.has(day, DAY, now);
        let account = self.account(user, now);
        if allowance.user_lines > 0 && account.lines >= allowance.user_lines {
            return Err(too_much("You have too many calls at once."));
        }
        if !account.calls.has(allowance.user_calls, MINUTE, now) {
            return Err(too_much("You begin too many calls. Wait a minute."));
        }
        let own = allowance.user_minutes.saturating_mul(60);
        if !account.talk.has(own, DAY, now) {
            return Err(too_much(OWN_DAY));
        }
        if !all {
            return Err(too_much("Too many calls are made here. Try again later."));
        }
        if !talk {
            return Err(too_much(DAY_OF_ALL));
        }
        account.lines += 1;
        account.calls.take(1, allowance.user_calls, MINUTE, now);
        self.all.calls.take(1, allowance.all_calls, MINUTE, now);
        Ok(())
    }

    /// A call of a user has lasted so many seconds more.
    pub fn talk(&mut self, user: &Address, seconds: u64, allowance: &Allowance, now: Instant) {
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let own = allowance.user_minutes.saturating_mul(60);
        self.account(user, now).talk.take(seconds, own, DAY, now);
        let day = allowance.all_minutes.saturating_mul(60);
        self.all.talk.take(seconds, day, DAY, now);
    }

    /// A call that was begun is over, and [`Usage::talk`] knows how long it lasted.
    pub fn end_call(&mut self, user: &Address, now: Instant) {
        let account = self.account(user, now);
        account.lines = account.lines.saturating_sub(1);
    }

    /// How long a user may talk from now on, and why no longer; nothing where there is no bound.
    #[must_use]
    pub fn longest(
        &mut self,
        user: &Address,
        allowance: &Allowance,
        now: Instant,
    ) -> Option<(Duration, &'static str)> {
        let day = allowance.all_minutes.saturating_mul(60);
        let all = (day > 0).then(|| (self.all.talk.left(day, DAY, now), DAY_OF_ALL));
        let own = allowance.user_minutes.saturating_mul(60);
        let account = self.account(user, now);
        let own = (own > 0).then(|| (account.talk.left(own, DAY, now), OWN_DAY));
        let least = own.into_iter().chain(all).min_by_key(|(left, _)| *left)?;
        Some((Duration::from_secs(least.0.into()), least.1))
    }

    fn account(&mut self, user: &Address, now: Instant) -> &mut Account {
        if self.users.len() >= MAX_USERS {
            self.users.retain(|_, account| !account.is_idle(now));
        }
        let key = (user.user.clone(), user.host.clone());
        self.users.entry(key).or_default()
    }
}

impl Account {
    /// Whether forgetting it gives nobody more than is allowed.
    fn is_idle(&self, now: Instant) -> bool {
        self.lines == 0
            && [
                &self.messages,
                &self.calls,
                &self.talk,
                &self.changes,
                &self.changes_of_hour,
            ]
            .iter()
            .all(|bucket| bucket.at.is_none_or(|at| now.duration_since(at) > DAY))
    }
}

impl Bucket {
    /// Whether anything is left of `most` for each `period`; 0 for no bound.
    fn has(&mut self, most: u32, period: Duration, now: Instant) -> bool {
        most == 0 || self.left(most, period, now) >= 1
    }

    /// What is left of `most`.
    fn left(&mut self, most: u32, period: Duration, now: Instant) -> u32 {
        self.refill(most, period, now);
        let left = (u64::from(most) * UNIT).saturating_sub(self.used) / UNIT;
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    fn take(&mut self, count: u32, most: u32, period: Duration, now: Instant) {
        if most == 0 {
            return;
        }
        self.refill(most, period, now);
        self.used += u64::from(count) * UNIT;
    }

    fn refill(&mut self, most: u32, period: Duration, now: Instant) {
        if let Some(at) = self.at {
            let passed = now.saturating_duration_since(at);
            let share = passed.as_secs_f64() / period.as_secs_f64() * f64::from(most);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is positive, and too much is all"
            )]
            let back = (share * UNIT as f64) as u64;
            self.used = self.used.saturating_sub(back);
        }
        self.at = Some(now);
    }
}

fn too_much(text: &str) -> Refusal {
    Refusal::new(Reason::PolicyViolation).with_text(text)
}

const OWN_DAY: &str = "You have talked for as long as a day allows. Try again later.";
const DAY_OF_ALL: &str =
    "All users here together have talked for as long as a day allows. Try again later.";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const UNIT: u64 = 1_000_000;
/// How often a user may give or change an account, in a minute and in an hour.
const CHANGES: u32 = 6;
const CHANGES_OF_HOUR: u32 = 30;
/// Users kept before the idle ones are forgotten.
const MAX_USERS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Address {
        Address::new(name, "example.com").unwrap()
    }

    fn now() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    #[test]
    fn messages_are_counted_by_user_and_refill() {
        let (mut usage, now) = (Usage::default(), now());
        let allowance = Allowance::default();
        let juliet = user("juliet");
        for _ in 0..60 {
            usage.take_message(&juliet, &allowance, now).unwrap();
        }
        assert!(usage.take_message(&juliet, &allowance, now).is_err());
        assert!(usage.take_message(&user("romeo"), &allowance, now).is_ok());
        let later = now + Duration::from_secs(2);
        assert!(usage.take_message(&juliet, &allowance, later).is_ok());
        assert!(usage.take_message(&juliet, &allowance, later).is_ok());
        assert!(usage.take_message(&juliet, &allowance, later).is_err());
    }

    #[test]
    fn calls_are_counted_at_once_by_minute_and_by_talk() {
        let (mut usage, now) = (Usage::default(), now());
        let allowance = Allowance::default();
        let juliet = user("juliet");
        for _ in 0..4 {
            usage.begin_call(&juliet, &allowance, now).unwrap();
        }
        let refused = usage.begin_call(&juliet, &allowance, now).unwrap_err();
        assert!(refused.text.unwrap().contains("at once"));
        for _ in 0..4 {
            usage.talk(&juliet, 1, &allowance, now);
            usage.end_call(&juliet, now);
        }
        for _ in 0..6 {
            usage.begin_call(&juliet, &allowance, now).unwrap();
            usage.end_call(&juliet, now);
        }
        let refused = usage.begin_call(&juliet, &allowance, now).unwrap_err();
        assert!(refused.text.unwrap().contains("minute"));
        let later = now + Duration::from_secs(60);
        let (longest, _) = usage.longest(&juliet, &allowance, later).unwrap();
        assert!(longest > Duration::from_secs(35_000));
        usage.begin_call(&juliet, &allowance, later).unwrap();
        usage.talk(&juliet, 36_000, &allowance, later);
        usage.end_call(&juliet, later);
        let refused = usage.begin_call(&juliet, &allowance, later).unwrap_err();
        assert!(refused.text.unwrap().contains("day"));
        let tomorrow = later + DAY;
        assert!(usage.begin_call(&juliet, &allowance, tomorrow).is_ok());
    }

    /// What all use together is bounded too, whoever uses it, and comes back with time.
    #[test]
    fn everybody_together_has_bounds_too() {
        let (mut usage, now) = (Usage::default(), now());
        let allowance = Allowance {
            all_messages: 2,
            all_calls: 2,
            all_minutes: 1,
            ..Allowance::unlimited()
        };
        let (juliet, romeo) = (user("juliet"), user("romeo"));
        let is_of_all = |refusal: Refusal| refusal.text.unwrap_or_default().contains("here");
        for user in [&juliet, &romeo] {
            usage.take_message(user, &allowance, now).unwrap();
        }
        let refused = usage.take_message(&juliet, &allowance, now).unwrap_err();
        assert!(is_of_all(refused));
        let half_a_minute = now + Duration::from_secs(30);
        assert!(
            usage
                .take_message(&romeo, &allowance, half_a_minute)
                .is_ok()
        );
        assert!(
            usage
                .take_message(&juliet, &allowance, half_a_minute)
                .is_err()
        );

        for user in [&juliet, &romeo] {
            usage.begin_call(user, &allowance, now).unwrap();
        }
        let refused = usage.begin_call(&juliet, &allowance, now).unwrap_err();
        assert!(is_of_all(refused));
        assert!(usage.begin_call(&romeo, &allowance, half_a_minute).is_ok());
        assert!(
            usage
                .begin_call(&juliet, &allowance, half_a_minute)
                .is_err()
        );

        let later = now + Duration::from_secs(600);
        usage.talk(&juliet, 40, &allowance, later);
        let left = usage.longest(&romeo, &allowance, later);
        assert_eq!(left.map(|(left, _)| left.as_secs()), Some(20));
        usage.talk(&romeo, 20, &allowance, later);
        let left = usage.longest(&juliet, &allowance, later);
        assert_eq!(left, Some((Duration::ZERO, DAY_OF_ALL)));
        let refused = usage.begin_call(&juliet, &allowance, later).unwrap_err();
        assert!(is_of_all(refused));
        // A minute of sixty seconds a day: one comes back in 24 minutes.
        let soon = later + Duration::from_secs(23 * 60);
        assert!(usage.begin_call(&juliet, &allowance, soon).is_err());
        let then = later + Duration::from_secs(25 * 60);
        assert!(usage.begin_call(&romeo, &allowance, then).is_ok());
    }

    #[test]
    fn nothing_is_counted_where_nothing_is_bounded() {
        let (mut usage, now) = (Usage::default(), now());
        let allowance = Allowance::unlimited();
        for _ in 0..10_000 {
            usage
                .take_message(&user("juliet"), &allowance, now)
                .unwrap();
            usage.begin_call(&user("juliet"), &allowance, now).unwrap();
        }
        assert_eq!(usage.longest(&user("juliet"), &allowance, now), None);
    }
}
