//! What can be said about a message before it is queued: whether it goes anywhere, and where.

use tandem_shared::message::Message;
use tandem_shared::mint;
use tandem_shared::refusal::{Reason, Refusal};

use super::Context;
use crate::route::RouteId;
use crate::target::Target;

/// Where a message goes.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The queue it waits in: one for each SIP party.
    pub(super) destination: u128,
    /// Its Request-URI and what goes with it.
    pub(super) target: Target,
    /// The route it takes.
    pub(super) route: RouteId,
}

/// Finds where `message` goes.
///
/// # Errors
/// The refusal to answer with when it may go nowhere: emergency numbers, loops, no route.
pub(super) fn admit(message: &Message, cx: &Context<'_>) -> Result<Admitted, Refusal> {
    let settings = cx.settings;
    let to = &message.to;
    settings.emergency.check(&to.user)?;
    if message.hops == 0 {
        return Err(Refusal::new(Reason::Looped).with_text("The message went in circles."));
    }
    if settings.mapping.serves(&to.host) {
        return Err(Refusal::new(Reason::Looped)
            .with_text("This is an XMPP user; write to that address directly."));
    }
    let own = settings.mapping.domain.as_str();
    let route = settings.routes.find(to, own)?;
    let user = cx.spellings.spell(to);
    settings.emergency.check(user)?;
    let found = settings
        .routes
        .get(route)
        .ok_or_else(|| Refusal::new(Reason::ItemNotFound))?;
    Ok(Admitted {
        destination: mint::hash(cx.key, &[to.user.as_bytes(), to.host.as_bytes()]),
        target: Target::new(to, user, found, own)?,
        route,
    })
}
