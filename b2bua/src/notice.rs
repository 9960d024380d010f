//! What the gateway itself tells XMPP users, until their server has it.
//!
//! Kept in memory and bounded: a notice that a kill loses is one that its owner makes anew.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tandem_shared::address::Address;
use tandem_shared::event::MessageOutcome;
use tandem_shared::message::{Message, MessageId, Ordinal};
use tandem_shared::mint::Mint;

/// Something to tell a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// In whose name: the gateway's own, or that of a contact it is about.
    pub from: Address,
    /// The user.
    pub to: Address,
    /// In lines separated by LF.
    pub text: String,
    /// The approval it asks for, by its id.
    pub asks: Option<u32>,
}

/// All that are under way, oldest first.
#[derive(Debug, Default)]
pub struct Notices {
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    message: Message,
    asks: Option<u32>,
    state: State,
    /// When it is no news any more.
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be put on the bus.
    Ready,
    /// On the bus, no outcome yet.
    Said,
    /// To be said again then.
    Resting(Instant),
}

/// How a notice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The approval it asked for.
    pub asks: Option<u32>,
    /// Whether the user's server has it.
    pub told: bool,
}

impl Notices {
    /// Takes a notice; false when too many are under way.
    pub fn tell(&mut self, notice: Notice, mint: &mut Mint, now: Instant) -> bool {
        if self.open.len() >= MAX {
            return false;
        }
        let message = Message {
            id: MessageId(mint.token()),
            from: notice.from,
            to: notice.to,
            body: notice.text,
            subject: None,
            lang: None,
            thread: None,
            wire_id: None,
            replaces: None,
            sent: None,
            hops: Message::HOPS,
            ordinal: Ordinal::default(),
        };
        self.open.push_back(Open {
            message,
            asks: notice.asks,
            state: State::Ready,
            until: now + KEEP,
        });
        true
    }

    /// The next one for the bus.
    pub fn poll(&mut self, now: Instant) -> Option<Message> {
        let due = |open: &&mut Open| match open.state {
            State::Ready => true,
            State::Resting(at) => at <= now,
            State::Said => false,
        };
        let open = self.open.iter_mut().find(due)?;
        open.state = State::Said;
        Some(open.message.clone())
    }

    /// The XMPP side is there (again): it may know of none.
    pub fn handle_up(&mut self) {
        for open in &mut self.open {
            open.state = State::Ready;
        }
    }

    /// Whether `id` is one of them.
    #[must_use]
    pub fn owns(&self, id: &MessageId) -> bool {
        self.open.iter().any(|open| open.message.id == *id)
    }

    /// One of them ended, or is to be said again later: then there is nothing to tell.
    pub fn handle_outcome(&mut self, outcome: &MessageOutcome, now: Instant) -> Option<Ended> {
        let at = self.place(&outcome.id)?;
        let after = outcome.refusal.as_ref().map(|refusal| refusal.retry_after);
        if let (Some(Some(seconds)), Some(open)) = (after, self.open.get_mut(at))
            && now < open.until
        {
            open.state = State::Resting(now + Duration::from_secs(seconds.max(1).into()));
            return None;
        }
        let open = self.open.remove(at)?;
        Some(Ended {
            asks: open.asks,
            told: after.is_none(),
        })
    }

    /// One could not be put on the bus; false for one that is not ours.
    pub fn handle_unpublished(&mut self, id: &MessageId, now: Instant) -> bool {
        let place = self.place(id);
        if let Some(open) = place.and_then(|at| self.open.get_mut(at)) {
            open.state = State::Resting(now + PAUSE);
        }
        place.is_some()
    }

    /// When [`Notices::poll`] is worth while again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rests = |open: &Open| match open.state {
            State::Resting(at) => Some(at),
            State::Ready | State::Said => None,
        };
        self.open.iter().filter_map(rests).min()
    }

    fn place(&self, id: &MessageId) -> Option<usize> {
        self.open.iter().position(|open| open.message.id == *id)
    }
}

/// Most under way.
const MAX: usize = 1000;
/// How long a notice is news.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// The pause before a notice that the bus did not take is said again.
const PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_shared::message::Outcome;
    use tandem_shared::refusal::{Reason, Refusal};

    fn notice() -> Notice {
        Notice {
            from: Address::new("romeo", "example.net").unwrap(),
            to: Address::new("juliet", "example.com").unwrap(),
            text: "hear".into(),
            asks: Some(4),
        }
    }

    fn now() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        Instant::now()
    }

    fn end(notices: &mut Notices, id: &MessageId, outcome: Outcome, now: Instant) -> Option<Ended> {
        notices.handle_outcome(&MessageOutcome::new(id.clone(), outcome), now)
    }

    #[test]
    fn a_notice_is_said_until_it_is_heard() {
        let (mut notices, mut mint, now) = (Notices::default(), Mint::new([1; 16]), now());
        assert!(notices.tell(notice(), &mut mint, now));
        let said = notices.poll(now).unwrap();
        assert_eq!(notices.poll(now), None);
        notices.handle_up();
        assert_eq!(notices.poll(now).as_ref(), Some(&said));
        let later = Refusal::new(Reason::RecipientUnavailable).with_retry_after(30);
        assert_eq!(end(&mut notices, &said.id, Err(later.clone()), now), None);
        let then = now + Duration::from_secs(30);
        assert_eq!(
            (notices.poll(now), notices.poll_timeout()),
            (None, Some(then))
        );
        assert_eq!(notices.poll(then).as_ref(), Some(&said));
        assert!(notices.handle_unpublished(&said.id, then));
        let then = notices.poll_timeout().unwrap();
        assert_eq!(notices.poll(then).as_ref(), Some(&said));
        let (asks, told) = (Some(4), true);
        assert_eq!(
            end(&mut notices, &said.id, Ok(()), then),
            Some(Ended { asks, told })
        );
        assert!(!notices.owns(&said.id) && notices.poll_timeout().is_none());
    }

    #[test]
    fn a_refused_one_and_an_old_one_are_given_up_and_too_many_are_not_taken() {
        let (mut notices, mut mint, now) = (Notices::default(), Mint::new([1; 16]), now());
        for _ in 0..MAX {
            assert!(notices.tell(notice(), &mut mint, now));
        }
        assert!(!notices.tell(notice(), &mut mint, now));
        let (first, second) = (notices.poll(now).unwrap(), notices.poll(now).unwrap());
        let nobody = Err(Refusal::new(Reason::ItemNotFound));
        let lost = Some(Ended {
            asks: Some(4),
            told: false,
        });
        assert_eq!(end(&mut notices, &first.id, nobody, now), lost);
        let later = Refusal::new(Reason::RecipientUnavailable).with_retry_after(30);
        assert_eq!(end(&mut notices, &second.id, Err(later), now + KEEP), lost);
    }
}
