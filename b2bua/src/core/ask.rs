//! What an admin asks of the running process.

use crate::admin::{self, Answer, Ask, route_test};
use crate::clock::Now;
use crate::core::Core;
use crate::policy::approval;
use crate::trunk::TrunkId;

impl Core {
    /// An admin asks.
    pub fn ask(&mut self, ask: &Ask, now: Now) -> Answer {
        match ask {
            Ask::Trunks => admin::show_trunks(&self.settings, &self.states, now.instant),
            Ask::Register { trunk } => self.register(trunk, now),
            Ask::Registration { trunk } => self.registration(trunk, now),
            Ask::Accounts { user } => self.ask_accounts(user.as_deref(), now),
            Ask::CheckAccount { user, account } => self.ask_check(user, account),
            Ask::SetAccount { user, account } => self.ask_set(user, account, now),
            Ask::RemoveAccount { address, user } => self.ask_remove(address, user.as_deref(), now),
            Ask::Approvals => admin::show_approvals(&self.approvals, &self.settings),
            Ask::Approve { user } => self.decide(user, true, now),
            Ask::Deny { user } => self.decide(user, false, now),
            Ask::RouteTest { to, from } => {
                let mut context = route_test::Context {
                    settings: &self.settings,
                    spellings: &self.spellings,
                    approvals: &self.approvals,
                    last_numbers: &self.last_numbers,
                    states: &self.states,
                    dns: &mut self.dns,
                    mint: &mut self.mint,
                    now: now.instant,
                };
                let answer = route_test::run(to, from.as_deref(), &mut context);
                self.drain_sip(now);
                answer
            }
        }
    }

    fn decide(&mut self, text: &str, approves: bool, now: Now) -> Answer {
        let Some(user) = self.settings.mapping.user_from_text(text) else {
            let served = self.settings.mapping.user_domains.join(", ");
            return Answer::no(format!("{text:?} is no user of {served}"));
        };
        let user = user.account();
        if let Err(text) = self.approvals.decide(&user, approves, &self.settings) {
            return Answer::no(text);
        }
        self.drain_sip(now);
        let known = self.approvals.of(&user);
        let line = known.map(|known| approval::line(known, &self.settings));
        Answer::ok(format!("{}\n", line.unwrap_or_default()))
    }

    fn register(&mut self, name: &str, now: Now) -> Answer {
        let id = match self.named(name) {
            Ok(id) => id,
            Err(answer) => return answer,
        };
        let mut known = false;
        self.with_registrations(now, |registrations, cx| known = registrations.force(id, cx));
        self.drain_sip(now);
        match known {
            true => Answer::ok(format!("{name}: registering\n")),
            false => Answer::no(format!(
                "{name}: does not register; it has no register = true"
            )),
        }
    }

    fn registration(&self, name: &str, now: Now) -> Answer {
        match self.named(name) {
            Ok(id) if self.registrations.is_asking(id) => Answer::pending(format!(
                "{name}: still registering; \"trunks\" tells the outcome\n"
            )),
            Ok(id) => admin::show_registration(name, self.states.get(id), now),
            Err(answer) => answer,
        }
    }

    fn named(&self, name: &str) -> Result<TrunkId, Answer> {
        self.settings.trunks.named(name).ok_or_else(|| {
            let trunks = self.settings.trunks.iter();
            let names = trunks
                .filter(|(_, trunk)| trunk.owner.is_none())
                .map(|(_, trunk)| &*trunk.name);
            let names: Vec<&str> = names.collect();
            let names = names.join(", ");
            Answer::no(format!("there is no trunk {name:?}; there are {names}"))
        })
    }
}
