//! One destination: its queue and what it is known to be.

use std::collections::VecDeque;
use std::time::Instant;

use super::job::Job;
use crate::sip::endpoint::ClientToken;

/// What stands between a destination and its next message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    #[default]
    Ready,
    /// A request is open.
    Sending(ClientToken),
    /// The head was surely not delivered; it waits to be sent again.
    Resting,
    /// A request was never answered; a probe waits to be sent.
    Doubtful,
    /// A probe is open.
    Probing(ClientToken),
}

/// A queue of messages for one SIP party; its head is the only one ever on the wire.
#[derive(Debug, Default)]
pub(super) struct Destination {
    pub(super) queue: VecDeque<Job>,
    pub(super) state: State,
    /// Failures in a row.
    pub(super) failures: u32,
    /// When the next try or probe is due.
    pub(super) until: Option<Instant>,
}

/// What to do about a destination whose timer fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Send,
    Probe,
    /// Nobody has anything for it.
    Forget,
    Wait(Instant),
    Nothing,
}

impl Destination {
    /// Its timer fired, and what had waited for too long is gone.
    pub(super) fn wake(&mut self, now: Instant) -> Next {
        let due = self.until.is_none_or(|at| at <= now);
        let deadline = self.queue.front().map(|head| head.deadline);
        match self.state {
            State::Resting if due => {
                self.state = State::Ready;
                Next::Send
            }
            State::Doubtful if deadline.is_none() => Next::Forget,
            State::Doubtful if due => Next::Probe,
            State::Resting | State::Doubtful => match (self.until, deadline) {
                (Some(until), Some(deadline)) => Next::Wait(until.min(deadline)),
                (Some(at), None) | (None, Some(at)) => Next::Wait(at),
                (None, None) => Next::Nothing,
            },
            State::Probing(_) => deadline.map_or(Next::Nothing, Next::Wait),
            State::Ready => Next::Send,
            State::Sending(_) => Next::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::outbound::job::tests::job;
    use std::fmt::Write as _;
    use std::time::Duration;

    #[test]
    fn transitions() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        let token = ClientToken(7);
        let mut table =
            "| state | until | head | next state | do |\n|---|---|---|---|---|\n".to_owned();
        for state in [
            State::Ready,
            State::Sending(token),
            State::Resting,
            State::Doubtful,
            State::Probing(token),
        ] {
            for (until, when) in [(None, "-"), (Some(now), "due"), (Some(soon), "in 1 s")] {
                for (deadline, head) in [(None, "-"), (Some(late), "until 9 s")] {
                    let mut destination = Destination {
                        state,
                        until,
                        queue: deadline.map(job).into_iter().collect(),
                        ..Destination::default()
                    };
                    let next = match destination.wake(now) {
                        Next::Wait(at) => format!("Wait({:?})", at - now),
                        other @ (Next::Send | Next::Probe | Next::Forget | Next::Nothing) => {
                            format!("{other:?}")
                        }
                    };
                    let after = destination.state;
                    let _ = writeln!(
                        table,
                        "| {state:?} | {when} | {head} | {after:?} | {next} |"
                    );
                }
            }
        }
        insta::assert_snapshot!(table);
    }
}
