//! The first REGISTERs of a process: not all at the same moment, since many accounts may be at one
//! registrar, which would take a restart of ours for an attack.

use std::time::Duration;

use super::pause::fraction;
use super::{Context, Registrations, Stage};
use crate::trunk::{FlowId, Registered, TrunkId};

impl Registrations {
    /// Registers at every trunk that wants it: those of the configuration at chance within a time that
    /// grows with their number, and users' own within one of theirs, so that nobody waits for those.
    pub fn begin(&mut self, cx: &mut Context<'_>) {
        let trunks = cx.settings.trunks.iter();
        let wanted = trunks.filter(|(_, trunk)| trunk.register.is_some());
        let wanted = wanted.map(|(id, trunk)| (id, trunk.owner.is_some()));
        let (own, all): (Vec<_>, Vec<_>) = wanted.partition(|(_, is_own)| *is_own);
        for group in [all, own] {
            let most = window(group.len());
            for (trunk, _) in group {
                match most {
                    0 => self.add(trunk, cx),
                    _ => {
                        let after = Duration::from_millis(fraction(cx.mint, most));
                        self.add_after(trunk, after, cx);
                    }
                }
            }
        }
    }

    /// Registers at one more trunk, by its first flow, after a while.
    fn add_after(&mut self, trunk: TrunkId, after: Duration, cx: &mut Context<'_>) {
        self.enter(trunk, cx);
        let id = FlowId { trunk, number: 1 };
        if let Some(row) = self.rows.get_mut(&id) {
            row.stage = Stage::Resting;
            cx.states.set_registered(id, Registered::Trying);
            self.timers.set(id, cx.now + after);
        }
    }
}

/// Within how many milliseconds so many registrations begin; one alone begins at once.
fn window(count: usize) -> u64 {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    count.saturating_sub(1).saturating_mul(EACH).min(MOST)
}

/// Milliseconds for each registration, and the most of them in all.
const EACH: u64 = 20;
const MOST: u64 = 60_000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::action::Record;
    use crate::core::bench::Bench;
    use crate::registration::tests::account;
    use crate::settings::tests::settings;
    use crate::trunk::{Trunk, Trunks};
    use tandem_shared::account::Account;
    use tandem_shared::address::Address;

    /// A thousand accounts at one registrar, and a trunk.
    fn crowd() -> Bench {
        let mut settings = settings();
        settings.accounts.open = true;
        settings.accounts.providers = vec!["*".into()];
        settings.trunks = Arc::new(Trunks::new(vec![Trunk {
            name: "provider".into(),
            ..account()
        }]));
        let mut bench = Bench::unlinked(settings);
        let user = Address::new("juliet", "example.com").unwrap();
        let rows = (0..CROWD).map(|number| Record::Account {
            user: user.clone(),
            account: Box::new(Account::new(format!("sip:a{number}@8.8.4.4"), "s3cret")),
        });
        let now = bench.now;
        bench.core.restore(rows, now);
        bench.core.begin(now);
        bench.pass(0);
        bench
    }

    const CROWD: usize = 1000;

    #[test]
    fn a_thousand_accounts_register_one_after_the_other_and_hold_up_no_trunk() {
        let mut bench = crowd();
        let at_once = bench.requests();
        let trunks = |found: &[(crate::sip::Request, _)]| {
            let uris = found.iter().map(|(request, _)| request.uri.to_string());
            uris.filter(|uri| uri == "sip:192.0.2.1").count()
        };
        assert_eq!(trunks(&at_once), 1);
        let mut seen = std::collections::HashSet::new();
        let mut most = at_once.len();
        for _ in 0..MOST / 1000 {
            bench.pass(1);
            let before = seen.len();
            let sent = bench.requests().into_iter();
            seen.extend(sent.map(|(request, _)| request.call_id().to_owned()));
            most = most.max(seen.len() - before);
        }
        let first = at_once.iter();
        seen.extend(first.map(|(request, _)| request.call_id().to_owned()));
        assert_eq!(seen.len(), CROWD + 1);
        assert!(most < CROWD / 10, "{most} in one second");
    }

    #[test]
    fn the_time_is_bounded_and_one_alone_waits_for_nobody() {
        assert_eq!((window(0), window(1), window(2)), (0, 0, EACH));
        assert_eq!(window(usize::MAX), MOST);
        assert_eq!(Duration::from_millis(window(CROWD)).as_secs(), 19);
    }
}
