//! Session timers (RFC 4028 §10): a call that nobody refreshes ends.
//!
//! Negotiated anew by every INVITE and UPDATE and its 2xx.

use std::time::Duration;

use crate::sip::header::{Headers, Name, Refresher, SessionExpires};

/// What both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refresh {
    /// The life of the session.
    pub(super) seconds: u32,
    /// Whether refreshing is up to us.
    pub(super) ours: bool,
}

/// What we want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The life we ask for; 0 asks for none.
    pub seconds: u32,
    /// The shortest life we accept, at least 90 s.
    pub min: u32,
}

/// The life they ask for is shorter than this: 422.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooSmall(pub(super) u32);

impl Refresh {
    /// When whoever refreshes does so.
    pub(super) fn due(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds)) / 2
    }

    /// When the other side is given up: the smaller of 32 s and a third before the end.
    pub(super) fn gives_up(&self) -> Duration {
        let ahead = (self.seconds / 3).min(32);
        Duration::from_secs(u64::from(self.seconds.saturating_sub(ahead)))
    }
}

/// Adds what we want to an INVITE or UPDATE. `current` keeps the roles of a running timer.
pub(super) fn ask(headers: &mut Headers, wish: Wish, current: Option<Refresh>) {
    if wish.seconds == 0 && current.is_none() {
        return;
    }
    let seconds = current.map_or(wish.seconds, |refresh| refresh.seconds);
    let expires = SessionExpires {
        seconds: seconds.max(wish.min),
        refresher: current.map(|refresh| match refresh.ours {
            true => Refresher::Uac,
            false => Refresher::Uas,
        }),
    };
    headers.set(Name::SessionExpires, &expires.to_string());
    headers.set(Name::MinSe, &wish.min.to_string());
}

/// What an INVITE or UPDATE of theirs leads to.
///
/// # Errors
/// [`TooSmall`], where they can be told so.
pub(super) fn answer(request: &Headers, wish: Wish) -> Result<Option<Refresh>, TooSmall> {
    let can = request.has_option(Name::Supported, TAG) || request.has_option(Name::Require, TAG);
    let min = wish.min.max(FLOOR);
    let Some(asked) = request.session_expires() else {
        // They know nothing of timers, or leave it to us.
        let theirs = request.min_se().unwrap_or_default();
        return Ok((wish.seconds > 0).then(|| Refresh {
            seconds: wish.seconds.max(min).max(theirs),
            ours: true,
        }));
    };
    if asked.seconds < min {
        return match can {
            true => Err(TooSmall(min)),
            // A proxy asked for it; the other side would not understand a 422.
            false => Ok(Some(Refresh {
                seconds: min,
                ours: true,
            })),
        };
    }
    Ok(Some(Refresh {
        seconds: asked.seconds,
        ours: !can || asked.refresher != Some(Refresher::Uac),
    }))
}

/// Adds what was agreed to our 2xx.
pub(super) fn confirm(headers: &mut Headers, agreed: Refresh, request: &Headers) {
    let expires = SessionExpires {
        seconds: agreed.seconds,
        refresher: Some(match agreed.ours {
            true => Refresher::Uas,
            false => Refresher::Uac,
        }),
    };
    headers.set(Name::SessionExpires, &expires.to_string());
    // Whoever has to refresh must know that it does.
    if !agreed.ours && request.has_option(Name::Supported, TAG) {
        headers.push(Name::Require, TAG);
    }
}

/// What a 2xx to our INVITE or UPDATE leads to.
pub(super) fn settle(response: &Headers) -> Option<Refresh> {
    let expires = response.session_expires()?;
    Some(Refresh {
        seconds: expires.seconds.max(FLOOR),
        ours: expires.refresher != Some(Refresher::Uas),
    })
}

/// The option tag.
const TAG: &str = "timer";
/// No session lives shorter.
pub(super) const FLOOR: u32 = 90;
