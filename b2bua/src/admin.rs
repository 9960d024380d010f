//! What an admin may ask of the running process: of trunks, of the way a call would go, of users' accounts and of
//! approvals.
//!
//! The shell carries questions and answers over a socket of its own; the core answers in words.

use std::fmt::Write as _;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tandem_shared::account::Account;

pub mod route_test;

use crate::clock::{self, Now};
use crate::policy::{Approvals, approval};
use crate::settings::Settings;
use crate::trunk::state::FlowState;
use crate::trunk::{Health, Registered, State, States, Trunk, TrunkId};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub enum Ask {
    /// How all trunks are.
    Trunks,
    /// Register at a trunk now.
    Register {
        /// Its name.
        trunk: String,
    },
    /// What became of that; asked again as long as the answer is pending.
    Registration {
        /// The trunk's name.
        trunk: String,
    },
    /// What would become of a call or message.
    RouteTest {
        /// To a number, an address or a JID.
        to: String,
        /// From this user.
        #[serde(default)]
        from: Option<String>,
    },
    /// Which users have accounts of their own, and how those are.
    Accounts {
        /// Of this user alone.
        #[serde(default)]
        user: Option<String>,
    },
    /// Whether an account of a user could be kept, whatever its password is.
    CheckAccount {
        /// The user's JID.
        user: String,
        /// The account; nobody looks at its password.
        account: Box<Account>,
    },
    /// Keep an account of a user.
    SetAccount {
        /// The user's JID.
        user: String,
        /// The account.
        account: Box<Account>,
    },
    /// Forget an account.
    RemoveAccount {
        /// Its address, or what it is listed as where it cannot be opened.
        address: String,
        /// Of this user.
        #[serde(default)]
        user: Option<String>,
    },
    /// Who asked to reach numbers abroad, and what became of it.
    Approvals,
    /// Let a user reach numbers abroad.
    Approve {
        /// Its JID.
        user: String,
    },
    /// Do not.
    Deny {
        /// Its JID.
        user: String,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub ok: bool,
    /// For people, in lines.
    pub text: String,
    /// It is not known yet: to be asked again.
    #[serde(default)]
    pub pending: bool,
}

impl Answer {
    /// It was done.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        let (ok, text, pending) = (true, text.into(), false);
        Self { ok, text, pending }
    }

    /// It could not be done.
    #[must_use]
    pub fn no(text: impl Into<String>) -> Self {
        let (ok, text, pending) = (false, text.into(), false);
        Self { ok, text, pending }
    }

    /// It is not known yet.
    #[must_use]
    pub fn pending(text: impl Into<String>) -> Self {
        let (ok, text, pending) = (false, text.into(), true);
        Self { ok, text, pending }
    }
}

/// How all trunks are, a line or more for each.
#[must_use]
pub fn show_trunks(settings: &Settings, states: &States, now: Instant) -> Answer {
    let mut text = String::new();
    let configured = |(_, trunk): &(TrunkId, &Trunk)| trunk.owner.is_none();
    for (id, trunk) in settings.trunks.iter().filter(configured) {
        let known = State::default();
        show_trunk(&mut text, trunk, states.get(id).unwrap_or(&known), now);
    }
    if text.is_empty() {
        text.push_str("no trunks: add a [[trunk]] to the configuration\n");
    }
    Answer::ok(text)
}

/// Who may reach numbers abroad, a line for each who asked.
#[must_use]
pub fn show_approvals(approvals: &Approvals, settings: &Settings) -> Answer {
    let mut text = String::new();
    for known in approvals.iter() {
        let _ = writeln!(text, "{}", approval::line(known, settings));
    }
    if text.is_empty() {
        text.push_str("nobody has asked\n");
    }
    if !settings.policy.approve_abroad {
        text.push_str("policy.approve_abroad is off: nobody has to ask\n");
    }
    Answer::ok(text)
}

fn show_trunk(text: &mut String, trunk: &Trunk, state: &State, now: Instant) {
    let health = match &state.health {
        Health::Unknown => "not asked yet",
        Health::Up => "answers",
        Health::Down { .. } => "DOWN",
    };
    let _ = write!(text, "{}: {health}", trunk.name);
    if let Health::Down { why } = &state.health {
        let _ = write!(text, " ({why})");
    }
    let several = trunk.register.as_ref().is_some_and(|it| it.flows > 1);
    for (number, flow) in &state.flows {
        let name = match several {
            true => format!("flow {number} "),
            false => String::new(),
        };
        show_flow(text, &name, flow, now);
    }
    let bare = |flow: &FlowState| {
        let registered = &flow.registered;
        matches!(registered, Registered::Until { outbound, .. } if !outbound)
    };
    if let Some(register) = trunk.register.as_ref().filter(|_| several)
        && state.flows.values().any(bare)
    {
        let _ = write!(
            text,
            ", 1 of {} flows, as the registrar keeps none (RFC 5626)",
            register.flows
        );
    }
    let _ = match trunk.channels {
        0 => writeln!(text, ", {} calls", state.calls),
        most => writeln!(text, ", {} of {most} calls", state.calls),
    };
}

/// What became of registering at a trunk: done where one of its flows is.
#[must_use]
pub fn show_registration(name: &str, state: Option<&State>, now: Now) -> Answer {
    let mut text = name.to_owned();
    let mut done = false;
    let flows = state.map(|state| &state.flows);
    let several = flows.is_some_and(|flows| flows.len() > 1);
    for (number, flow) in flows.into_iter().flatten() {
        let name = match several {
            true => format!("flow {number} "),
            false => String::new(),
        };
        show_flow(&mut text, &name, flow, now.instant);
        if let Registered::Until { at, .. } = &flow.registered {
            done = true;
            let left = at.saturating_duration_since(now.instant).as_millis();
            let until = now.unix_ms().saturating_add(left.try_into().unwrap_or(0));
            let until = clock::to_text(until).unwrap_or_default();
            let _ = write!(text, ", until {until}");
        }
    }
    let text = format!("{}\n", text.replacen(", ", ": ", 1));
    match done {
        true => Answer::ok(text),
        false => Answer::no(text),
    }
}

fn show_flow(text: &mut String, name: &str, flow: &FlowState, now: Instant) {
    match &flow.registered {
        Registered::No => {}
        Registered::Trying => {
            let _ = write!(text, ", {name}registering");
        }
        Registered::Until { at, hop, .. } => {
            let left = at.saturating_duration_since(now).as_secs();
            let _ = write!(text, ", {name}registered for {left} s more");
            if let Some(hop) = hop {
                let name = hop.transport.as_str().to_lowercase();
                let _ = write!(text, " at {} port {} over {name}", hop.host, hop.port);
            }
            if let Some(seen) = flow.seen {
                let _ = write!(text, " as {seen}");
            }
        }
        Registered::Failed { why } => {
            let _ = write!(text, ", {name}NOT REGISTERED ({why})");
            if let Some(again) = flow.again {
                let left = again.saturating_duration_since(now).as_secs();
                let _ = write!(text, ", next try in {left} s");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bench::Bench;

    #[test]
    fn trunks_are_told_of_in_a_line_each() {
        let mut bench = Bench::new();
        let now = bench.now;
        let answer = bench.core.ask(&Ask::Trunks, now);
        assert!(answer.ok);
        assert_eq!(answer.text.lines().count(), 3, "{}", answer.text);
        assert!(answer.text.starts_with("numbers: not asked yet, 0 calls\n"));
        let answer = bench.core.ask(
            &Ask::Register {
                trunk: "nobody".into(),
            },
            now,
        );
        assert!(
            !answer.ok && answer.text.contains("numbers, pbx, sms"),
            "{}",
            answer.text
        );
        let answer = bench.core.ask(
            &Ask::Register {
                trunk: "pbx".into(),
            },
            now,
        );
        assert!(
            !answer.ok && answer.text.contains("register = true"),
            "{}",
            answer.text
        );
    }
}
