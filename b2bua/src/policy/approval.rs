//! Who may reach numbers abroad, where an admin has to approve of each user first (specs T1;
//! `policy.approve_abroad`).
//!
//! Whoever has not been approved of is refused, and the admins are asked once, by a message of the
//! gateway. They answer it in words. What was asked and decided is stored.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tandem_shared::address::Address;
use tandem_shared::message::{Message, MessageId};
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason, Refusal};

use crate::action::{Action, Key, Record};
use crate::notice::Notice;
use crate::settings::Settings;
use crate::target::{Found, Kind};

mod word;

use word::{Whom, Word};

/// What is known of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What admins call it by: counted from 1, never used again.
    pub id: u32,
    /// The user, without device.
    pub user: Address,
    /// What became of it.
    pub verdict: Verdict,
    /// The number that was reached for first; empty when an admin spoke unasked.
    pub wanted: String,
    /// The message that decided, so that it decides once.
    pub said: Option<MessageId>,
}

/// How far an approval has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Admins are asked, but may not know yet.
    Asked,
    /// An admin knows.
    Told,
    /// The user may.
    Approved,
    /// The user may not.
    Denied,
}

/// All that are known, bounded.
#[derive(Debug, Default)]
pub struct Approvals {
    known: BTreeMap<u32, Approval>,
    users: HashMap<Address, u32>,
    /// How many notices that ask for one are under way.
    asking: HashMap<u32, usize>,
    waiting: usize,
    actions: VecDeque<Action>,
    notices: VecDeque<Notice>,
}

impl Verdict {
    /// As the store has it, and as people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Told => "told",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }

    /// What [`Verdict::as_str`] made.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let all = [Self::Asked, Self::Told, Self::Approved, Self::Denied];
        all.into_iter().find(|verdict| verdict.as_str() == text)
    }

    /// Whether there is no answer yet.
    #[must_use]
    pub fn waits(self) -> bool {
        match self {
            Self::Asked | Self::Told => true,
            Self::Approved | Self::Denied => false,
        }
    }
}

impl Approvals {
    /// Takes back what the store held.
    pub fn restore(&mut self, approval: Approval) {
        self.waiting += usize::from(approval.verdict.waits());
        self.users.insert(approval.user.clone(), approval.id);
        self.known.insert(approval.id, approval);
    }

    /// Whether `from` may reach what was `found`. Asks the admins if nobody has asked them yet.
    ///
    /// # Errors
    /// The refusal a user reads.
    pub fn check(
        &mut self,
        from: &Address,
        kind: Kind,
        found: &Found,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let look = self.look(from, found, settings);
        let asks = match look {
            Look::Open | Look::Known(Verdict::Denied | Verdict::Told | Verdict::Approved) => false,
            Look::Known(Verdict::Asked) | Look::New => true,
        };
        if !asks {
            return look.allow();
        }
        let user = from.account();
        let id = match self.users.get(&user) {
            Some(id) => *id,
            None if self.waiting >= MAX_WAITING => return Err(refuse(CROWDED)),
            None => self.enter(user.clone(), &found.user, Verdict::Asked),
        };
        if !self.asking.contains_key(&id) {
            self.ask(id, kind, &user, &found.user, settings);
        }
        look.allow()
    }

    /// What [`Approvals::check`] would find, without asking anybody.
    #[must_use]
    pub fn look(&self, from: &Address, found: &Found, settings: &Settings) -> Look {
        let user = from.account();
        let policy = &settings.policy;
        if !policy.approve_abroad || !found.abroad || policy.admins.contains(&user) {
            return Look::Open;
        }
        match self.of(&user).map(|approval| approval.verdict) {
            Some(Verdict::Approved) => Look::Open,
            Some(verdict) => Look::Known(verdict),
            None => Look::New,
        }
    }

    /// What is known of a user.
    #[must_use]
    pub fn of(&self, user: &Address) -> Option<&Approval> {
        self.known.get(self.users.get(user)?)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Approval> {
        self.known.values()
    }

    /// An admin of this machine decides about a user, asked or not.
    ///
    /// # Errors
    /// Why it would change nothing, in words for the admin.
    pub fn decide(
        &mut self,
        user: &Address,
        approves: bool,
        settings: &Settings,
    ) -> Result<(), String> {
        useful(user, approves, settings)?;
        self.settle(user, approves, None, settings);
        Ok(())
    }

    /// An admin writes to the gateway: it is done and answered.
    pub fn hear(&mut self, message: &Message, settings: &Settings) {
        let again = self.known.values();
        let mut again = again.filter(|known| known.said.as_ref() == Some(&message.id));
        let text = match again.next() {
            // It was heard, but the XMPP side was not told before one of us died.
            Some(known) => told(known, settings),
            None => self.obey(message, settings),
        };
        self.notices.push_back(Notice {
            from: settings.mapping.gateway(),
            to: message.from.account(),
            text,
            asks: None,
        });
    }

    /// A notice that asks for an approval came to an admin, or will not.
    pub fn handle_asked(&mut self, id: u32, told: bool) {
        if let Some(left) = self.asking.get_mut(&id) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.asking.remove(&id);
            }
        }
        let known = self.known.get_mut(&id);
        if let Some(known) = known.filter(|known| told && known.verdict == Verdict::Asked) {
            known.verdict = Verdict::Told;
            self.store(id);
        }
    }

    /// The next thing to store or to forget.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing to tell somebody.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Does what an admin says; the answer.
    fn obey(&mut self, message: &Message, settings: &Settings) -> String {
        let (approves, whom) = match Word::read(&message.body) {
            Some(Word::Approve(whom)) => (true, whom),
            Some(Word::Deny(whom)) => (false, whom),
            Some(Word::List) => return self.show_waiting(settings),
            None => return format!("{HELP}\n{}", self.show_waiting(settings)),
        };
        let user = match whom {
            Whom::Id(id) => match self.known.get(&id) {
                Some(known) => known.user.clone(),
                None => {
                    let waiting = self.show_waiting(settings);
                    return format!("Nobody has number {id}.\n{waiting}");
                }
            },
            Whom::User(text) => match settings.mapping.user_from_text(text) {
                Some(user) => user.account(),
                None => return "This is no user of this gateway.".to_owned(),
            },
            Whom::Only => {
                let mut waiting = self.known.values().filter(|known| known.verdict.waits());
                let first = waiting.next().map(|known| known.user.clone());
                if waiting.next().is_some() {
                    return format!("Several wait; say which.\n{}", self.show_waiting(settings));
                }
                match first {
                    Some(user) => user,
                    None => return self.show_waiting(settings),
                }
            }
        };
        if let Err(text) = useful(&user, approves, settings) {
            return text;
        }
        self.settle(&user, approves, Some(message), settings);
        match self.of(&user) {
            Some(known) => told(known, settings),
            None => String::new(),
        }
    }

    fn enter(&mut self, user: Address, wanted: &str, verdict: Verdict) -> u32 {
        while self.known.len() >= MAX {
            let mut known = self.known.values();
            let oldest = known.find(|known| !known.verdict.waits());
            let Some(oldest) = oldest.map(|known| known.id) else {
                break;
            };
            if let Some(known) = self.known.remove(&oldest) {
                self.users.remove(&known.user);
            }
            self.actions
                .push_back(Action::Forget(Key::Approval(oldest)));
        }
        let last = self.known.keys().next_back().copied();
        let id = last.unwrap_or(0).saturating_add(1);
        self.restore(Approval {
            id,
            user,
            verdict,
            wanted: wanted.to_owned(),
            said: None,
        });
        self.store(id);
        id
    }

    /// Asks every admin about `id`.
    fn ask(&mut self, id: u32, kind: Kind, user: &Address, wanted: &str, settings: &Settings) {
        let does = match kind {
            Kind::Call => "call",
            Kind::Message => "write to",
        };
        tracing::info!(id, user = %Pii(user), wanted = %Pii(wanted), "admins are asked to approve");
        let user = jid(user, settings);
        let text = format!(
            "{user} wants to {does} {wanted}, and nobody has approved of that yet. Answer \"approve {id}\" \
            or \"deny {id}\". It holds for all numbers abroad that are open here."
        );
        for admin in &settings.policy.admins {
            *self.asking.entry(id).or_default() += 1;
            self.notices.push_back(Notice {
                from: settings.mapping.gateway(),
                to: admin.clone(),
                text: text.clone(),
                asks: Some(id),
            });
        }
    }

    /// It is decided, by a message or on the command line; who had asked is told, and the admins
    /// that did not decide.
    fn settle(
        &mut self,
        user: &Address,
        approves: bool,
        said: Option<&Message>,
        settings: &Settings,
    ) {
        let asked = self.users.get(user).copied();
        let id = asked.unwrap_or_else(|| self.enter(user.clone(), "", verdict(approves)));
        let Some(known) = self.known.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut known.verdict, verdict(approves));
        known.said = said.map(|message| message.id.clone());
        self.waiting -= usize::from(before.waits());
        let admin = said.map(|message| message.from.account());
        let by = admin.as_ref().map(|admin| Pii(admin).to_string());
        let by = by.as_deref().unwrap_or("command line");
        tracing::info!(id, user = %Pii(&known.user), approves, by, "an admin has decided");
        if before != known.verdict {
            let text = match approves {
                true => "An admin has approved: you may call and write to numbers abroad now.",
                false => DENIED,
            };
            self.notices.push_back(Notice {
                from: settings.mapping.gateway(),
                to: known.user.clone(),
                text: text.to_owned(),
                asks: None,
            });
        }
        if before != known.verdict || asked.is_none() {
            let who = admin.as_ref().map(|admin| jid(admin, settings));
            let who = who.as_deref().unwrap_or("Somebody at the command line");
            let text = format!("{who} has decided: {}", told(known, settings));
            let others = settings.policy.admins.iter();
            for other in others.filter(|it| admin.as_ref() != Some(*it) && **it != known.user) {
                self.notices.push_back(Notice {
                    from: settings.mapping.gateway(),
                    to: other.clone(),
                    text: text.clone(),
                    asks: None,
                });
            }
        }
        self.store(id);
    }

    fn store(&mut self, id: u32) {
        if let Some(known) = self.known.get(&id) {
            let record = Record::Approval(Box::new(known.clone()));
            self.actions.push_back(Action::Store(record));
        }
    }

    fn show_waiting(&self, settings: &Settings) -> String {
        let waiting = self.known.values().filter(|known| known.verdict.waits());
        let lines: Vec<String> = waiting.map(|known| line(known, settings)).collect();
        match lines.is_empty() {
            true => "Nobody waits for an approval.".to_owned(),
            false => lines.join("\n"),
        }
    }
}

/// What a look at the approvals finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The user may: it was approved of, or needs no approval.
    Open,
    /// The user may not, for this is what is known of it.
    Known(Verdict),
    /// The admins would be asked.
    New,
}

impl Look {
    /// What the user is told.
    ///
    /// # Errors
    /// The refusal a user reads.
    pub fn allow(self) -> Result<(), Refusal> {
        match self {
            Self::Open | Self::Known(Verdict::Approved) => Ok(()),
            Self::Known(Verdict::Denied) => Err(refuse(DENIED)),
            Self::Known(Verdict::Asked | Verdict::Told) | Self::New => Err(refuse(ASKED)),
        }
    }
}

/// An approval in a line, for admins.
#[must_use]
pub fn line(known: &Approval, settings: &Settings) -> String {
    let Approval { id, wanted, .. } = known;
    let user = jid(&known.user, settings);
    let state = match known.verdict {
        Verdict::Asked | Verdict::Told => "waits",
        Verdict::Approved => "approved",
        Verdict::Denied => "denied",
    };
    match wanted.is_empty() {
        true => format!("{id}. {user}: {state}"),
        false => format!("{id}. {user}: {state}, wanted {wanted}"),
    }
}

/// Whether a decision about `user` would change anything.
///
/// # Errors
/// Why not, in words for the admin.
fn useful(user: &Address, approves: bool, settings: &Settings) -> Result<(), String> {
    let policy = &settings.policy;
    if !policy.approve_abroad {
        return Err(OFF.to_owned());
    }
    match approves || !policy.admins.contains(user) {
        true => Ok(()),
        false => Err(format!(
            "{} is named in policy.admins and needs no approval; remove it there first",
            jid(user, settings)
        )),
    }
}

/// What an admin hears of what it decided.
fn told(known: &Approval, settings: &Settings) -> String {
    let may = match known.verdict {
        Verdict::Approved => "may",
        Verdict::Asked | Verdict::Told | Verdict::Denied => "may not",
    };
    format!("{} {may} reach numbers abroad.", jid(&known.user, settings))
}

fn jid(user: &Address, settings: &Settings) -> String {
    let jid = settings.mapping.user_to_jid(user);
    jid.map_or_else(|_| user.to_string(), |jid| jid.to_string())
}

fn verdict(approves: bool) -> Verdict {
    match approves {
        true => Verdict::Approved,
        false => Verdict::Denied,
    }
}

fn refuse(text: &str) -> Refusal {
    Refusal::new(Reason::NotAllowed).with_text(text)
}

const OFF: &str = "policy.approve_abroad is off: this would change nothing; set it to true, or close numbers \
    by policy.deny";
const ASKED: &str = "An admin was asked whether you may reach numbers abroad. You will be told.";
const DENIED: &str = "An admin has decided that you may not reach numbers abroad.";
const CROWDED: &str = "An admin has to approve of this, and too many wait. Ask yours yourself.";
const HELP: &str = "Say \"approve\" or \"deny\" with the number or JID of who asked, or \"list\".";
/// Most that wait for an answer: more messages nobody reads.
const MAX_WAITING: usize = 100;
/// Most users known; the oldest decision is forgotten first, and that user asks again.
const MAX: usize = 10_000;

#[cfg(test)]
mod tests;
