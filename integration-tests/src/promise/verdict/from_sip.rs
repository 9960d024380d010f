//! Messages from SIP: a 2xx means that the server has it, anything else that the sender knows.
//!
//! The caller sends a conversation's messages one by one and repeats what it is told to try again,
//! as a new request. Order is that of first copies in the archive.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bench, Evidence, count};
use crate::promise::phone::{Attempt, Event};
use crate::promise::plan::{CALLED, Plan, Victim};
use crate::promise::tally::Class;

/// One request for a text.
#[derive(Clone, Copy, Debug)]
struct Ask {
    begin: f64,
    end: Option<f64>,
    status: Option<u16>,
    timed: bool,
}

pub(super) fn judge(plan: &Plan, evidence: &Evidence, bench: &mut Bench) {
    let asks = asks_by_text(evidence);
    for (call, called) in CALLED.iter().enumerate() {
        let archive = evidence.archives.get(*called);
        let archived: Vec<&str> = archive
            .into_iter()
            .flatten()
            .map(|(_, text)| text.as_str())
            .collect();
        let numbers: BTreeMap<String, usize> = (0..plan.calls)
            .map(|number| (plan.call_text(call, number), number))
            .collect();
        for (text, number) in &numbers {
            let copies = archived.iter().filter(|other| *other == text).count();
            let asks = asks.get(text.as_str()).map_or(&[][..], Vec::as_slice);
            match classify(evidence, archive.is_some(), asks, copies) {
                Ok(class) => count(&mut bench.tally.to_xmpp, class),
                Err(fault) => {
                    bench.fault(format!("{text:?} ({number}) {fault}; requests {asks:?}"))
                }
            }
            bench.tally.surplus.1 += copies.saturating_sub(1);
        }
        let mut seen = BTreeSet::new();
        let order: Vec<usize> = archived
            .iter()
            .filter_map(|text| numbers.get(*text).copied())
            .filter(|number| seen.insert(*number))
            .collect();
        bench.check_order(&format!("to {called}"), &order);
    }
}

fn classify(
    evidence: &Evidence,
    exists: bool,
    asks: &[Ask],
    copies: usize,
) -> Result<Class, String> {
    let Some(last) = asks.last() else {
        return Err("was never sent".to_owned());
    };
    for ask in asks {
        // A user who does not exist is not there either (RFC 6121 §8.5.1), and no time helps.
        let untimed = ask.status == Some(480) && exists && !ask.timed;
        if untimed || ask.status == Some(503) {
            return Err("was told 503, or 480 without a Retry-After".to_owned());
        }
    }
    let open = |ask: &Ask, victim: Option<Victim>| {
        evidence
            .deaths
            .iter()
            .filter(|death| victim.is_none_or(|victim| victim == death.victim))
            .filter(|death| ask.begin <= death.killed)
            .filter(|death| ask.end.is_none_or(|end| end >= death.from))
            .count()
    };
    let accepted = asks.iter().any(|ask| is_taken(ask.status));
    if accepted && !exists {
        return Err("was accepted, but there is no such user".to_owned());
    }
    // A request that was open at a death may have been written and not confirmed.
    let doubtful: usize = asks.iter().map(|ask| open(ask, None)).sum();
    if copies > 1 + doubtful {
        return Err(format!("arrived {copies} times, {doubtful} deaths met it"));
    }
    match (accepted, copies, last.status) {
        (true, 1, _) => Ok(Class::Once),
        (true, 2.., _) => Ok(Class::Again),
        (true, 0, _) => {
            let killed = evidence.deaths.iter().any(|d| d.victim == Victim::Server);
            if evidence.forgetful && killed {
                Ok(Class::InsideServer)
            } else {
                Err("was accepted, but the server never had it".to_owned())
            }
        }
        (false, _, None) if open(last, Some(Victim::Phone)) > 0 => Ok(Class::SenderDied),
        (false, _, None) => Err("got no final response".to_owned()),
        (false, 0, Some(0)) => Ok(Class::GivenUp),
        (false, 0, Some(_)) => Ok(Class::Refused),
        (false, _, Some(_)) if doubtful > 0 => Ok(Class::Doubt),
        (false, _, Some(status)) => Err(format!("arrived, but its sender was told {status}")),
    }
}

fn asks_by_text(evidence: &Evidence) -> BTreeMap<&str, Vec<Ask>> {
    let mut all: BTreeMap<&Attempt, Ask> = BTreeMap::new();
    for (at, event) in &evidence.record {
        match event {
            Event::Asked(attempt) => {
                let ask = Ask {
                    begin: *at,
                    end: None,
                    status: None,
                    timed: false,
                };
                all.insert(attempt, ask);
            }
            Event::Final {
                attempt,
                status,
                retry_after,
            } => {
                if let Some(ask) = all.get_mut(attempt) {
                    (ask.end, ask.status) = (Some(*at), Some(*status));
                    ask.timed = !retry_after.is_empty();
                }
            }
            Event::Started | Event::Answered(_) | Event::Done => {}
        }
    }
    let mut by_text: BTreeMap<&str, Vec<Ask>> = BTreeMap::new();
    for (attempt, ask) in all {
        by_text.entry(&attempt.body).or_default().push(ask);
    }
    by_text
}

fn is_taken(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
}
