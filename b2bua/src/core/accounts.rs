//! Users' own accounts: questions from the bus and from admins, and what follows from them.

use std::fmt::Write as _;
use std::sync::Arc;

use tandem_shared::account::{Account, AccountEvent, AccountState, AccountWhat, Password};
use tandem_shared::address::Address;
use tandem_shared::bus::SessionId;
use tandem_shared::event::Event as BusEvent;
use tandem_shared::mint;
use tandem_shared::pii::Pii;
use tandem_shared::refusal::Refusal;

use crate::account::{self, Checked};
use crate::action::{Action, Key, Record};
use crate::admin::Answer;
use crate::clock::Now;
use crate::core::Core;
use crate::sip::digest::Digest;
use crate::trunk::TrunkId;

impl Core {
    /// A question of a user's came by the bus.
    pub(super) fn handle_account(&mut self, event: AccountEvent, now: Now) {
        let AccountEvent { id, user, what } = event;
        let user = user.account();
        let done = match what {
            AccountWhat::Show => Ok(()),
            AccountWhat::Set(account) => {
                let taken = self.usage.take_change(&user, now.instant);
                taken.and_then(|()| self.set_account(&user, &account, now))
            }
            AccountWhat::Remove(address) => self.remove_account(Some(&user), &address, now),
            AccountWhat::Accounts(_) | AccountWhat::Refused(_) | AccountWhat::Unknown => return,
        };
        let what = match done {
            Ok(()) => {
                let states = self
                    .own_accounts
                    .show(Some(&user), &self.states, now.instant);
                AccountWhat::Accounts(states.into_iter().map(|(_, state)| state).collect())
            }
            Err(refusal) => AccountWhat::Refused(refusal),
        };
        let session = SessionId::user(&user);
        let answer = AccountEvent { id, user, what };
        self.publish(session, BusEvent::Account(Box::new(answer)));
        self.drain_sip(now);
    }

    /// Keeps an account, registers it, and stores it.
    fn set_account(&mut self, user: &Address, account: &Account, now: Now) -> Result<(), Refusal> {
        let checked = self.check_account(user, account)?;
        self.actions.push_back(Action::Store(Record::Account {
            user: user.clone(),
            account: Box::new(checked.account.clone()),
        }));
        // Where one could not be opened, this takes its place.
        let address = &checked.account.address;
        self.own_accounts
            .unlock(account::row_id(&self.key, user, address));
        tracing::info!(user = %Pii(user), trunk = checked.trunk.name, "an account is kept");
        let id = self.enter_account(user, checked, now);
        self.with_registrations(now, |registrations, cx| registrations.add(id, cx));
        Ok(())
    }

    /// Whether an account can be kept.
    fn check_account(&self, user: &Address, account: &Account) -> Result<Checked, Refusal> {
        let checked = account::check(user, account, &self.key, &self.settings)?;
        let address = &checked.account.address;
        self.own_accounts
            .check_room(user, address, &self.settings.accounts)?;
        Ok(checked)
    }

    /// Makes a trunk of an account, in the place of the one it had.
    fn enter_account(&mut self, user: &Address, checked: Checked, now: Now) -> TrunkId {
        let Checked { account, trunk } = checked;
        let credential = trunk.credentials.clone();
        let id = Arc::make_mut(&mut self.settings.trunks).add_own(trunk);
        if let Some(credential) = credential {
            self.accounts.insert(id, Digest::new(credential));
        }
        // Both have the same Contact: to take back the old binding could take back the new one.
        if let Some(replaced) = self.own_accounts.enter(user.clone(), &account, id) {
            self.retire_account(replaced, false, now);
        }
        id
    }

    /// Forgets an account: of this user alone, where one is named.
    fn remove_account(
        &mut self,
        user: Option<&Address>,
        address: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        // As it is listed, also where it could not be kept any more; else as it would be kept.
        let address = match self.own_accounts.has(address) {
            true => address.to_owned(),
            false => account::spell(address)?,
        };
        let (user, trunk) = self.own_accounts.remove(user, &address)?;
        tracing::info!(user = %Pii(&user), "an account is forgotten");
        let key = Key::Account(user, address);
        self.actions.push_back(Action::Forget(key));
        if let Some(trunk) = trunk {
            self.retire_account(trunk, true, now);
        }
        Ok(())
    }

    fn retire_account(&mut self, trunk: TrunkId, tell: bool, now: Now) {
        Arc::make_mut(&mut self.settings.trunks).retire_own(trunk);
        self.own_accounts.retire(trunk);
        self.with_registrations(now, |registrations, cx| {
            registrations.leave(trunk, tell, cx)
        });
    }

    /// Takes back what the store held.
    pub(super) fn restore_account(&mut self, user: &Address, account: &Account, now: Now) {
        match account::check(user, account, &self.key, &self.settings) {
            Ok(checked) => {
                self.enter_account(user, checked, now);
            }
            Err(refusal) => {
                let why = refusal.text.unwrap_or_default();
                tracing::warn!(user = %Pii(user), why, "a stored account cannot be used");
                self.own_accounts.enter_unusable(user.clone(), account, why);
            }
        }
    }

    /// Takes back the rows of accounts that the store could not open.
    pub fn restore_locked(&mut self, rows: impl IntoIterator<Item = u128>) {
        for id in rows {
            self.own_accounts.lock(id);
        }
    }

    /// Lets go what no registration and no call holds any more.
    pub(super) fn forget_retired(&mut self) {
        let (registrations, states) = (&self.registrations, &self.states);
        let held = |id| registrations.has(id) || states.calls(id) > 0;
        for id in self.own_accounts.over(held) {
            Arc::make_mut(&mut self.settings.trunks).forget_own(id);
            self.states.forget(id);
            self.accounts.remove(&id);
        }
    }

    /// An admin is about to set an account, and has yet to type its password.
    pub(super) fn ask_check(&self, user: &str, account: &Account) -> Answer {
        let Some(user) = self.user(user) else {
            return self.no_user(user);
        };
        let account = Account {
            password: Password("not looked at".to_owned()),
            ..account.clone()
        };
        match self.check_account(&user, &account) {
            Ok(_) => Answer::ok("it could be kept\n"),
            Err(refusal) => no(&refusal),
        }
    }

    /// An admin sets an account.
    pub(super) fn ask_set(&mut self, user: &str, account: &Account, now: Now) -> Answer {
        let Some(user) = self.user(user) else {
            return self.no_user(user);
        };
        match self.set_account(&user, account, now) {
            Ok(()) => {
                self.drain_sip(now);
                Answer::ok("kept; \"account list\" tells whether it is registered\n")
            }
            Err(refusal) => no(&refusal),
        }
    }

    /// An admin removes an account.
    pub(super) fn ask_remove(&mut self, address: &str, user: Option<&str>, now: Now) -> Answer {
        let named = |id: &u128| mint::base32(*id) == address;
        let locked = self.own_accounts.locked().find(named);
        if let Some(id) = locked {
            self.own_accounts.unlock(id);
            let key = Key::LockedAccount(id);
            self.actions.push_back(Action::Forget(key));
            return Answer::ok("forgotten\n");
        }
        let whose = match self.whose(user) {
            Ok(whose) => whose,
            Err(answer) => return answer,
        };
        match self.remove_account(whose.as_ref(), address, now) {
            Ok(()) => {
                self.drain_sip(now);
                Answer::ok("forgotten\n")
            }
            Err(refusal) => no(&refusal),
        }
    }

    /// An admin looks at accounts.
    pub(super) fn ask_accounts(&self, user: Option<&str>, now: Now) -> Answer {
        let whose = match self.whose(user) {
            Ok(whose) => whose,
            Err(answer) => return answer,
        };
        let mut text = String::new();
        for (user, state) in self
            .own_accounts
            .show(whose.as_ref(), &self.states, now.instant)
        {
            let _ = write!(text, "{}@{}: ", user.user, user.host);
            show(&mut text, &state);
        }
        for id in self.own_accounts.locked().filter(|_| whose.is_none()) {
            let id = mint::base32(id);
            let _ = writeln!(
                text,
                "{id}: CANNOT BE OPENED (accounts.key is missing, or not the one it was kept with)"
            );
        }
        if text.is_empty() {
            text.push_str("no accounts\n");
        }
        Answer::ok(text)
    }

    fn no_user(&self, text: &str) -> Answer {
        let served = self.settings.mapping.user_domains.join(", ");
        Answer::no(format!("{text:?} is no user of {served}"))
    }

    /// The user an admin names, who may be gone by now; nobody where none is named.
    fn whose(&self, text: Option<&str>) -> Result<Option<Address>, Answer> {
        let Some(text) = text else {
            return Ok(None);
        };
        let kept = self.own_accounts.users();
        let mut named = kept.filter(|user| format!("{}@{}", user.user, user.host) == text);
        match named.next().cloned().or_else(|| self.user(text)) {
            Some(user) => Ok(Some(user)),
            None => Err(self.no_user(text)),
        }
    }

    fn user(&self, text: &str) -> Option<Address> {
        let user = self.settings.mapping.user_from_text(text)?;
        Some(user.account())
    }
}

fn show(text: &mut String, state: &AccountState) {
    let _ = write!(text, "{}", state.address);
    let _ = match (state.registered, &state.problem) {
        (Some(seconds), _) => write!(text, ", registered for {seconds} s more"),
        (None, Some(why)) => write!(text, ", NOT REGISTERED ({why})"),
        (None, None) => write!(text, ", registering"),
    };
    text.push_str(match state.outgoing {
        true => "\n",
        false => ", incoming only\n",
    });
}

fn no(refusal: &Refusal) -> Answer {
    let text = refusal.text.clone();
    Answer::no(text.unwrap_or_else(|| format!("{:?}", refusal.reason)))
}
