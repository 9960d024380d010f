//! Offers and answers (RFC 3264 §4): one at a time, whatever carries them.

use crate::sip::status::Status;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// Nobody has offered yet.
    Empty,
    /// What was offered last was answered, or dropped; what was agreed holds.
    Agreed,
    /// Our offer waits for their answer.
    Offered {
        /// Whether something was agreed before.
        agreed: bool,
    },
    /// Their offer waits for our answer.
    Asked {
        /// Whether something was agreed before.
        agreed: bool,
    },
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// We offer.
    Offer,
    /// They offer.
    Ask,
    /// They answer.
    HearAnswer,
    /// We answer.
    GiveAnswer,
    /// The open offer is refused, or its request failed.
    Drop,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clash {
    /// Our own offer is out: both offered at once.
    Glare,
    /// Their earlier offer is not answered yet.
    Unanswered,
    /// There is no offer to answer.
    Nothing,
}

impl Clash {
    /// What an offer is refused with (RFC 3311 §5.2, RFC 3261 §14.2).
    pub(super) fn status(self) -> Status {
        match self {
            Self::Glare => Status::REQUEST_PENDING,
            Self::Unanswered => Status::SERVER_INTERNAL_ERROR,
            Self::Nothing => Status::NOT_ACCEPTABLE_HERE,
        }
    }
}

impl Exchange {
    /// The state after `step`.
    ///
    /// # Errors
    /// Why it is not possible now; the state stays.
    pub(super) fn take(&mut self, step: Step) -> Result<(), Clash> {
        *self = self.after(step)?;
        Ok(())
    }

    /// The state there would be after `step`.
    ///
    /// # Errors
    /// Why it is not possible now.
    pub(super) fn after(self, step: Step) -> Result<Self, Clash> {
        match (self, step) {
            (Self::Empty, Step::Offer) => Ok(Self::Offered { agreed: false }),
            (Self::Empty, Step::Ask) => Ok(Self::Asked { agreed: false }),
            (Self::Agreed, Step::Offer) => Ok(Self::Offered { agreed: true }),
            (Self::Agreed, Step::Ask) => Ok(Self::Asked { agreed: true }),
            (Self::Empty | Self::Agreed, Step::Drop) => Ok(self),
            (Self::Empty | Self::Agreed, Step::HearAnswer | Step::GiveAnswer) => {
                Err(Clash::Nothing)
            }
            (Self::Offered { .. }, Step::HearAnswer) | (Self::Asked { .. }, Step::GiveAnswer) => {
                Ok(Self::Agreed)
            }
            (Self::Offered { agreed } | Self::Asked { agreed }, Step::Drop) => match agreed {
                true => Ok(Self::Agreed),
                false => Ok(Self::Empty),
            },
            (Self::Offered { .. }, Step::Offer | Step::Ask) => Err(Clash::Glare),
            (Self::Asked { .. }, Step::Offer | Step::Ask) => Err(Clash::Unanswered),
            (Self::Offered { .. }, Step::GiveAnswer) | (Self::Asked { .. }, Step::HearAnswer) => {
                Err(Clash::Nothing)
            }
        }
    }
}
