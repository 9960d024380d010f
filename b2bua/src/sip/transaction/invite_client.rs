//! The INVITE client transaction (RFC 3261 §17.1.1 as corrected by RFC 6026 §7.2).
//!
//! A 2xx does not end it: copies and answers of other branches still come, and each is handed up.
//! CANCEL is part of it, because whether one may leave depends on its state (RFC 3261 §9.1).
//! Timer C (§16.8) is that of a proxy; here it is the net under a peer that rings for ever.

use std::time::Duration;

use super::Timers;

/// Its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Sent; nothing came back yet.
    Calling {
        /// What Timer A was last set to; `None` over a reliable transport.
        interval: Option<Duration>,
        /// Whether it is to be cancelled as soon as that is allowed.
        unwanted: bool,
    },
    /// A provisional response came.
    Proceeding,
    /// A CANCEL was sent.
    Cancelling,
    /// A refusal came and was acknowledged; its copies are acknowledged again.
    Completed,
    /// A 2xx came; others may follow.
    Accepted,
    /// Over.
    Terminated,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A 100 came.
    Trying,
    /// Another 1xx came.
    Provisional,
    /// A 2xx came.
    Success,
    /// A final response of another class came.
    Refusal,
    /// Our side no longer wants it.
    Cancel,
    /// Time to send again.
    TimerA,
    /// Time to give up: nothing came at all, or nothing after the CANCEL.
    TimerB,
    /// It has rung too long.
    TimerC,
    /// Copies of the refusal have died out.
    TimerD,
    /// Copies of the 2xx have died out.
    TimerM,
    /// The transport failed.
    TransportFailed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send the request again.
    Transmit,
    /// Acknowledge the refusal.
    Ack,
    /// Send a CANCEL.
    Cancel,
    /// Hand the response up.
    Deliver,
    /// Set Timer A.
    ArmA(Duration),
    /// Set Timer B; C is over.
    ArmB(Duration),
    /// Set Timer C; A and B are over.
    ArmC(Duration),
    /// Set Timer D; all others are over.
    ArmD(Duration),
    /// Set Timer M; all others are over.
    ArmM(Duration),
    /// Hand up that no response came in time.
    TimedOut,
    /// Hand up that the transport failed.
    Failed,
    /// Hand up that no further 2xx will come.
    Over,
}

impl Client {
    /// The state after the request was sent.
    pub fn start(reliable: bool, timers: &Timers, out: &mut Vec<Output>) -> Self {
        out.extend([Output::Transmit, Output::ArmB(timers.give_up())]);
        let interval = (!reliable).then_some(timers.t1);
        out.extend(interval.map(Output::ArmA));
        Self::Calling {
            interval,
            unwanted: false,
        }
    }

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
            Self::Calling { interval, unwanted } => match input {
                Input::Trying | Input::Provisional => {
                    out.push(Output::Deliver);
                    match unwanted {
                        true => cancel(timers, out),
                        false => {
                            out.push(Output::ArmC(timers.ring()));
                            Self::Proceeding
                        }
                    }
                }
                Input::Success => accept(timers, out),
                Input::Refusal => refuse(reliable, timers, out),
                Input::Cancel => Self::Calling {
                    interval,
                    unwanted: true,
                },
                Input::TimerA => {
                    let interval = interval.map(|last| last * 2);
                    if let Some(next) = interval {
                        out.extend([Output::Transmit, Output::ArmA(next)]);
                    }
                    Self::Calling { interval, unwanted }
                }
                Input::TimerB => time_out(out),
                Input::TransportFailed => fail(out),
                Input::TimerC | Input::TimerD | Input::TimerM => self,
            },
            Self::Proceeding => match input {
                Input::Trying => {
                    out.push(Output::Deliver);
                    Self::Proceeding
                }
                Input::Provisional => {
                    out.extend([Output::Deliver, Output::ArmC(timers.ring())]);
                    Self::Proceeding
                }
                Input::Success => accept(timers, out),
                Input::Refusal => refuse(reliable, timers, out),
                Input::Cancel | Input::TimerC => cancel(timers, out),
                Input::TransportFailed => fail(out),
                Input::TimerA | Input::TimerB | Input::TimerD | Input::TimerM => self,
            },
            Self::Cancelling => match input {
                Input::Trying | Input::Provisional => {
                    out.push(Output::Deliver);
                    Self::Cancelling
                }
                Input::Success => accept(timers, out),
                Input::Refusal => refuse(reliable, timers, out),
                Input::TimerB => time_out(out),
                Input::TransportFailed => fail(out),
                Input::Cancel | Input::TimerA | Input::TimerC | Input::TimerD | Input::TimerM => {
                    self
                }
            },
            Self::Completed => match input {
                Input::Refusal => {
                    out.push(Output::Ack);
                    Self::Completed
                }
                Input::TimerD => Self::Terminated,
                Input::Trying
                | Input::Provisional
                | Input::Success
                | Input::Cancel
                | Input::TimerA
                | Input::TimerB
                | Input::TimerC
                | Input::TimerM
                | Input::TransportFailed => self,
            },
            Self::Accepted => match input {
                Input::Success => {
                    out.push(Output::Deliver);
                    Self::Accepted
                }
                Input::TimerM => {
                    out.push(Output::Over);
                    Self::Terminated
                }
                Input::Trying
                | Input::Provisional
                | Input::Refusal
                | Input::Cancel
                | Input::TimerA
                | Input::TimerB
                | Input::TimerC
                | Input::TimerD
                | Input::TransportFailed => self,
            },
            Self::Terminated => Self::Terminated,
        }
    }
}

fn cancel(timers: &Timers, out: &mut Vec<Output>) -> Client {
    out.extend([Output::Cancel, Output::ArmB(timers.give_up())]);
    Client::Cancelling
}

fn accept(timers: &Timers, out: &mut Vec<Output>) -> Client {
    out.extend([Output::Deliver, Output::ArmM(timers.give_up())]);
    Client::Accepted
}

fn refuse(reliable: bool, timers: &Timers, out: &mut Vec<Output>) -> Client {
    out.extend([Output::Ack, Output::Deliver]);
    match reliable {
        true => Client::Terminated,
        false => {
            out.push(Output::ArmD(timers.give_up()));
            Client::Completed
        }
    }
}

fn time_out(out: &mut Vec<Output>) -> Client {
    out.push(Output::TimedOut);
    Client::Terminated
}

fn fail(out: &mut Vec<Output>) -> Client {
    out.push(Output::Failed);
    Client::Terminated
}
