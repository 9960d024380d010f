//! The life of a call, from the INVITE to the BYE, as one machine for both roles.
//!
//! It knows nothing of bodies, numbers or time; those who do tell it what happened and do what it
//! says. The table of all states and inputs is a snapshot in the tests.

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// Our INVITE has no final response.
    Calling,
    /// Our INVITE has no final response, and we no longer want one.
    Cancelling,
    /// Their INVITE waits for our final answer.
    Called,
    /// Our 2xx waits for its ACK.
    Answered,
    /// The same, and we want to hang up: not before the ACK (RFC 3261 §15).
    HangingUp,
    /// It is up.
    Confirmed,
    /// Our BYE has no final response.
    Leaving,
    /// Nothing is left but copies of what was sent.
    Over,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A 2xx to our INVITE.
    Accepted,
    /// Any other end of our INVITE.
    Refused,
    /// Our side answered with 2xx.
    Answer,
    /// Our side refused.
    Reject,
    /// Our side wants to end it; before an answer to their INVITE, that is to refuse it.
    HangUp,
    /// The ACK of our 2xx.
    Ack,
    /// The ACK of our 2xx never came.
    NoAck,
    /// A CANCEL of their INVITE.
    Cancelled,
    /// Their BYE.
    Bye,
    /// The dialog is gone or silent on their side, or has expired.
    Lost,
    /// Our BYE has its response, or will have none.
    ByeDone,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Cancel our INVITE.
    SendCancel,
    /// Send a BYE.
    SendBye,
    /// Answer their INVITE with 487.
    Terminate,
    /// Tell: the call is up.
    TellAnswered,
    /// Tell: their ACK came.
    TellEstablished,
    /// Tell: the INVITE ended without a call.
    TellRefused,
    /// Tell: it is over.
    TellEnded,
}

impl Usage {
    /// The state after `input`, and what to do.
    #[must_use]
    pub(super) fn handle(self, input: Input) -> (Self, &'static [Output]) {
        match self {
            Self::Calling => match input {
                Input::Accepted => (Self::Confirmed, &[Output::TellAnswered]),
                Input::Refused => (Self::Over, &[Output::TellRefused]),
                Input::HangUp => (Self::Cancelling, &[Output::SendCancel]),
                Input::Answer
                | Input::Reject
                | Input::Ack
                | Input::NoAck
                | Input::Cancelled
                | Input::Bye
                | Input::Lost
                | Input::ByeDone => (self, &[]),
            },
            Self::Cancelling => match input {
                Input::Accepted => (Self::Leaving, &[Output::SendBye, Output::TellEnded]),
                Input::Refused => (Self::Over, &[Output::TellEnded]),
                Input::Answer
                | Input::Reject
                | Input::HangUp
                | Input::Ack
                | Input::NoAck
                | Input::Cancelled
                | Input::Bye
                | Input::Lost
                | Input::ByeDone => (self, &[]),
            },
            Self::Called => match input {
                Input::Answer => (Self::Answered, &[]),
                Input::Reject => (Self::Over, &[Output::TellEnded]),
                Input::Cancelled | Input::Bye => {
                    (Self::Over, &[Output::Terminate, Output::TellEnded])
                }
                Input::Accepted
                | Input::Refused
                | Input::HangUp
                | Input::Ack
                | Input::NoAck
                | Input::Lost
                | Input::ByeDone => (self, &[]),
            },
            Self::Answered => match input {
                Input::Ack => (Self::Confirmed, &[Output::TellEstablished]),
                Input::NoAck => (Self::Leaving, &[Output::SendBye, Output::TellEnded]),
                Input::HangUp | Input::Lost => (Self::HangingUp, &[]),
                Input::Bye => (Self::Over, &[Output::TellEnded]),
                Input::Accepted
                | Input::Refused
                | Input::Answer
                | Input::Reject
                | Input::Cancelled
                | Input::ByeDone => (self, &[]),
            },
            Self::HangingUp => match input {
                Input::Ack | Input::NoAck => (Self::Leaving, &[Output::SendBye, Output::TellEnded]),
                Input::Bye => (Self::Over, &[Output::TellEnded]),
                Input::Accepted
                | Input::Refused
                | Input::Answer
                | Input::Reject
                | Input::HangUp
                | Input::Cancelled
                | Input::Lost
                | Input::ByeDone => (self, &[]),
            },
            Self::Confirmed => match input {
                Input::HangUp | Input::Lost | Input::NoAck => {
                    (Self::Leaving, &[Output::SendBye, Output::TellEnded])
                }
                Input::Bye => (Self::Over, &[Output::TellEnded]),
                Input::Accepted
                | Input::Refused
                | Input::Answer
                | Input::Reject
                | Input::Ack
                | Input::Cancelled
                | Input::ByeDone => (self, &[]),
            },
            Self::Leaving => match input {
                Input::ByeDone => (Self::Over, &[]),
                Input::Accepted
                | Input::Refused
                | Input::Answer
                | Input::Reject
                | Input::HangUp
                | Input::Ack
                | Input::NoAck
                | Input::Cancelled
                | Input::Bye
                | Input::Lost => (self, &[]),
            },
            Self::Over => (Self::Over, &[]),
        }
    }
}
