//! When a registration is made again: before it is over, and after it went wrong (RFC 5626 §4.5).

use std::time::Duration;

use tandem_shared::mint::Mint;

use super::{Context, Registrations, Stage};
use crate::dns::PENALTY;
use crate::trunk::FlowId;
use crate::trunk::reach::Shut;

impl Registrations {
    /// This way leads nowhere: the next one, or all of them again, later.
    pub(super) fn pass(&mut self, id: FlowId, why: &'static str, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        if let Some(hop) = &row.hop {
            cx.dns.penalise(id.trunk.whose(), hop, PENALTY, cx.now);
        }
        row.held = false;
        row.trouble = Some(why);
        if row.ways.pass() {
            return self.go_on(id, cx);
        }
        self.fail(id, why, None, cx);
    }

    /// It did not work; again after a while that grows (RFC 5626 §4.5).
    pub(super) fn fail(
        &mut self,
        id: FlowId,
        why: &str,
        after: Option<Duration>,
        cx: &mut Context<'_>,
    ) {
        let base = match self.others_hold(id) {
            true => BASE_OF_FURTHER,
            false => BASE,
        };
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let most = base * 2_u32.saturating_pow(row.failures.min(10));
        let most = u64::try_from(most.min(MOST).as_millis()).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(most / 2 + fraction(cx.mint, most / 2));
        let pause = after.map_or(pause, |after| after.clamp(pause, MOST));
        row.failures += 1;
        self.rest(id, why, pause, cx);
        tracing::warn!(
            trunk = cx.settings.trunks.name(id.trunk),
            flow = id.number,
            why,
            again_in = pause.as_secs(),
            "not registered"
        );
    }

    /// The registrar does not want us: nothing will change by asking often.
    pub(super) fn give_in(&mut self, id: FlowId, why: &str, cx: &mut Context<'_>) {
        self.rest(id, why, REFUSED, cx);
        let (trunk, flow) = (cx.settings.trunks.name(id.trunk), id.number);
        let again_in = REFUSED.as_secs();
        let found = cx.settings.trunks.get(id.trunk);
        // A user's own account has no keys in the configuration.
        match found.is_some_and(|trunk| trunk.owner.is_some()) {
            true => tracing::error!(
                trunk,
                flow,
                why,
                again_in,
                "the registrar refuses a user's account; \"tandem-b2bua account set\" gives it another \
                login or password"
            ),
            false => tracing::error!(
                trunk,
                flow,
                why,
                again_in,
                "the registrar refuses the account; check username, password and realm of the trunk, and \
                account where it differs"
            ),
        }
    }

    fn rest(&mut self, id: FlowId, why: &str, pause: Duration, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        self.patience.cancel(&id);
        if row.leaving {
            self.rows.remove(&id);
            return;
        }
        row.stage = Stage::Resting;
        row.held = false;
        row.hop = None;
        row.sent = None;
        self.timers.set(id, cx.now + pause);
        cx.states.set_failed(id, why, cx.now + pause);
    }
}

/// When a registration of so many seconds is made again: with a share of it left, at chance, so
/// that the accounts of a restarted gateway spread.
pub(super) fn refresh_after(seconds: u32, mint: &mut Mint) -> Duration {
    let life = u64::from(seconds) * 1000;
    let after = life / 2 + fraction(mint, life * 3 / 10);
    Duration::from_millis(after.max(1000).min(life.max(1000)))
}

pub(super) fn fraction(mint: &mut Mint, most: u64) -> u64 {
    u64::try_from(mint.number() % (u128::from(most) + 1)).unwrap_or_default()
}

/// What is said of a user's own account whose server is nowhere it may lead.
pub(super) fn words(shut: Shut) -> &'static str {
    match shut {
        Shut::OwnNetwork => {
            "The registrar has an address of the own network alone, which accounts.allow_private = false keeps from \
             users' accounts."
        }
        Shut::LowPort => "The registrar has a port below 1024, which is of another service.",
        Shut::Ourselves => "The registrar has our own address.",
    }
}

/// The pause after the first failure, where another flow of the trunk is alive, and the longest
/// (RFC 5626 §4.5).
const BASE: Duration = Duration::from_secs(30);
const BASE_OF_FURTHER: Duration = Duration::from_secs(90);
const MOST: Duration = Duration::from_secs(1800);
/// The pause after the account was refused.
const REFUSED: Duration = Duration::from_secs(1800);
