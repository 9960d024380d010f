//! The non-INVITE server transaction (RFC 3261 §17.2.2).
//!
//! Every arm is written out; the table of all states and inputs is a snapshot in the tests.

use std::time::Duration;

use super::Timers;

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Handed up; no answer yet.
    Trying,
    /// A provisional answer was sent.
    Proceeding,
    /// The final answer was sent; a retransmission gets it again.
    Completed,
    /// Over.
    Terminated,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The same request came again.
    Retransmission,
    /// Our side answers 1xx.
    Provisional,
    /// Our side answers anything else.
    Final,
    /// Copies of the request have died out.
    TimerJ,
    /// The transport failed.
    TransportFailed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send the answer just given.
    Transmit,
    /// Send the last answer again.
    Repeat,
    /// Set Timer J.
    ArmJ(Duration),
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
        match (self, input) {
            (Self::Trying, Input::Retransmission) => Self::Trying,
            (Self::Proceeding, Input::Retransmission) => {
                out.push(Output::Repeat);
                Self::Proceeding
            }
            (Self::Completed, Input::Retransmission) => {
                out.push(Output::Repeat);
                Self::Completed
            }
            (Self::Trying | Self::Proceeding, Input::Provisional) => {
                out.push(Output::Transmit);
                Self::Proceeding
            }
            (Self::Trying | Self::Proceeding, Input::Final) => {
                out.push(Output::Transmit);
                match reliable {
                    true => Self::Terminated,
                    false => {
                        out.push(Output::ArmJ(timers.give_up()));
                        Self::Completed
                    }
                }
            }
            // Whoever asked will ask again, perhaps another way: the answer is still wanted.
            (Self::Trying, Input::TransportFailed) => Self::Trying,
            (Self::Proceeding, Input::TransportFailed) => Self::Terminated,
            (Self::Completed, Input::TransportFailed | Input::TimerJ) => Self::Terminated,
            (Self::Completed, Input::Provisional | Input::Final) => Self::Completed,
            (Self::Trying, Input::TimerJ) => Self::Trying,
            (Self::Proceeding, Input::TimerJ) => Self::Proceeding,
            (
                Self::Terminated,
                Input::Retransmission
                | Input::Provisional
                | Input::Final
                | Input::TimerJ
                | Input::TransportFailed,
            ) => Self::Terminated,
        }
    }
}
