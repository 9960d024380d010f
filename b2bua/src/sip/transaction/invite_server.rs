//! The INVITE server transaction (RFC 3261 §17.2.1 as corrected by RFC 6026 §7.1).
//!
//! After a 2xx it stays to absorb copies of the request; the 2xx itself is repeated by whoever owns
//! the call, until the ACK, which is no part of this transaction.

use std::time::Duration;

use super::Timers;

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Handed up; nothing was sent yet.
    Trying,
    /// A provisional answer was sent.
    Proceeding,
    /// A refusal was sent and waits for its ACK.
    Completed {
        /// What Timer G was last set to; `None` over a reliable transport.
        interval: Option<Duration>,
    },
    /// The refusal was acknowledged; copies of the ACK are absorbed.
    Confirmed,
    /// A 2xx was sent.
    Accepted,
    /// Over.
    Terminated,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The same request came again.
    Retransmission,
    /// Our side has not answered for 200 ms.
    TimerTrying,
    /// Our side answers 1xx.
    Provisional,
    /// Our side answers 2xx, for the first time or again.
    Success,
    /// Our side answers anything else.
    Refusal,
    /// An ACK with the branch of the INVITE came.
    Ack,
    /// Time to repeat the refusal.
    TimerG,
    /// The ACK never came.
    TimerH,
    /// Copies of the ACK have died out.
    TimerI,
    /// Copies of the INVITE have died out.
    TimerL,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send a 100.
    SendTrying,
    /// Send the answer just given.
    Transmit,
    /// Send the last answer again.
    Repeat,
    /// Hand the ACK up: it is one for a 2xx.
    Deliver,
    /// Set Timer G.
    ArmG(Duration),
    /// Set Timer H.
    ArmH(Duration),
    /// Set Timer I; G and H are over.
    ArmI(Duration),
    /// Set Timer L.
    ArmL(Duration),
}

impl Server {
    /// The state after `input`.
    #[must_use]
    pub fn handle(
        self,
        input: Input,
        reliable: bool,
        timers: &Timers,
        out: &mut Vec<Output>,
    ) -> Self {
        match self {
            Self::Trying => match input {
                Input::TimerTrying | Input::Retransmission => {
                    out.push(Output::SendTrying);
                    Self::Proceeding
                }
                Input::Provisional => {
                    out.push(Output::Transmit);
                    Self::Proceeding
                }
                Input::Success => accept(timers, out),
                Input::Refusal => refuse(reliable, timers, out),
                Input::Ack | Input::TimerG | Input::TimerH | Input::TimerI | Input::TimerL => self,
            },
            Self::Proceeding => match input {
                Input::Retransmission => {
                    out.push(Output::Repeat);
                    Self::Proceeding
                }
                Input::Provisional => {
                    out.push(Output::Transmit);
                    Self::Proceeding
                }
                Input::Success => accept(timers, out),
                Input::Refusal => refuse(reliable, timers, out),
                Input::TimerTrying
                | Input::Ack
                | Input::TimerG
                | Input::TimerH
                | Input::TimerI
                | Input::TimerL => self,
            },
            Self::Completed { interval } => match input {
                Input::Retransmission => {
                    out.push(Output::Repeat);
                    self
                }
                Input::TimerG => {
                    let interval = interval.map(|last| (last * 2).min(timers.t2));
                    if let Some(next) = interval {
                        out.extend([Output::Repeat, Output::ArmG(next)]);
                    }
                    Self::Completed { interval }
                }
                Input::Ack if reliable => Self::Terminated,
                Input::Ack => {
                    out.push(Output::ArmI(timers.t4));
                    Self::Confirmed
                }
                Input::TimerH => Self::Terminated,
                Input::TimerTrying
                | Input::Provisional
                | Input::Success
                | Input::Refusal
                | Input::TimerI
                | Input::TimerL => self,
            },
            Self::Confirmed => match input {
                Input::TimerI => Self::Terminated,
                Input::Retransmission
                | Input::TimerTrying
                | Input::Provisional
                | Input::Success
                | Input::Refusal
                | Input::Ack
                | Input::TimerG
                | Input::TimerH
                | Input::TimerL => self,
            },
            Self::Accepted => match input {
                Input::Success => {
                    out.push(Output::Transmit);
                    Self::Accepted
                }
                Input::Ack => {
                    out.push(Output::Deliver);
                    Self::Accepted
                }
                Input::TimerL => Self::Terminated,
                Input::Retransmission
                | Input::TimerTrying
                | Input::Provisional
                | Input::Refusal
                | Input::TimerG
                | Input::TimerH
                | Input::TimerI => self,
            },
            Self::Terminated => Self::Terminated,
        }
    }
}

fn accept(timers: &Timers, out: &mut Vec<Output>) -> Server {
    out.extend([Output::Transmit, Output::ArmL(timers.give_up())]);
    Server::Accepted
}

fn refuse(reliable: bool, timers: &Timers, out: &mut Vec<Output>) -> Server {
    out.extend([Output::Transmit, Output::ArmH(timers.give_up())]);
    let interval = (!reliable).then_some(timers.t1);
    out.extend(interval.map(Output::ArmG));
    Server::Completed { interval }
}
