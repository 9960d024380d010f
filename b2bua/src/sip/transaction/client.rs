//! The non-INVITE client transaction (RFC 3261 §17.1.2).
//!
//! Every arm is written out; the table of all states and inputs is a snapshot in the tests.

use std::time::Duration;

use super::Timers;

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Sent; nothing came back yet.
    Trying(Waiting),
    /// A provisional response came.
    Proceeding(Waiting),
    /// The final response came; its copies are absorbed.
    Completed,
    /// Over.
    Terminated,
}

/// Waiting for the final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// What Timer E was last set to; `None` over a reliable transport.
    pub interval: Option<Duration>,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A 1xx came.
    Provisional,
    /// Any other response came.
    Final,
    /// Time to send again.
    TimerE,
    /// Time to give up.
    TimerF,
    /// Copies of the response have died out.
    TimerK,
    /// The transport failed.
    TransportFailed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send the request again.
    Transmit,
    /// Hand the response up.
    Deliver,
    /// Set Timer E.
    ArmE(Duration),
    /// Set Timer F.
    ArmF(Duration),
    /// Set Timer K; E and F are over.
    ArmK(Duration),
    /// Hand up that no response came in time.
    TimedOut,
    /// Hand up that the transport failed.
    Failed,
}

impl Client {
    /// The state after the request was sent.
    pub fn start(reliable: bool, timers: &Timers, out: &mut Vec<Output>) -> Self {
        out.extend([Output::Transmit, Output::ArmF(timers.give_up())]);
        let interval = (!reliable).then_some(timers.t1);
        out.extend(interval.map(Output::ArmE));
        Self::Trying(Waiting { interval })
    }

    /// The state after `input`.
    #[must_use]
    pub fn handle(self, input: Input, timers: &Timers, out: &mut Vec<Output>) -> Self {
        match (self, input) {
            (Self::Trying(waiting) | Self::Proceeding(waiting), Input::Provisional) => {
                out.push(Output::Deliver);
                Self::Proceeding(waiting)
            }
            (Self::Trying(waiting) | Self::Proceeding(waiting), Input::Final) => {
                out.push(Output::Deliver);
                match waiting.interval {
                    Some(_) => {
                        out.push(Output::ArmK(timers.t4));
                        Self::Completed
                    }
                    None => Self::Terminated,
                }
            }
            (
                Self::Trying(Waiting {
                    interval: Some(last),
                }),
                Input::TimerE,
            ) => Self::Trying(resend((last * 2).min(timers.t2), out)),
            (Self::Proceeding(Waiting { interval: Some(_) }), Input::TimerE) => {
                Self::Proceeding(resend(timers.t2, out))
            }
            (
                Self::Trying(Waiting { interval: None })
                | Self::Proceeding(Waiting { interval: None }),
                Input::TimerE,
            ) => self,
            (Self::Trying(_) | Self::Proceeding(_), Input::TimerF) => {
                out.push(Output::TimedOut);
                Self::Terminated
            }
            (Self::Trying(_) | Self::Proceeding(_), Input::TransportFailed) => {
                out.push(Output::Failed);
                Self::Terminated
            }
            (Self::Trying(_) | Self::Proceeding(_), Input::TimerK) => self,
            (Self::Completed, Input::TimerK) => Self::Terminated,
            (
                Self::Completed,
                Input::Provisional
                | Input::Final
                | Input::TimerE
                | Input::TimerF
                | Input::TransportFailed,
            ) => Self::Completed,
            (
                Self::Terminated,
                Input::Provisional
                | Input::Final
                | Input::TimerE
                | Input::TimerF
                | Input::TimerK
                | Input::TransportFailed,
            ) => Self::Terminated,
        }
    }
}

fn resend(interval: Duration, out: &mut Vec<Output>) -> Waiting {
    out.extend([Output::Transmit, Output::ArmE(interval)]);
    Waiting {
        interval: Some(interval),
    }
}
