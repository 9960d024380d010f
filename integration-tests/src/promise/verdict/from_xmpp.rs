//! Messages from XMPP: delivered, refused, or never promised.
//!
//! Order is that of first deliveries between one sender and one recipient. A message that is put
//! off keeps its place, since the queue of its recipient waits for it; one that is refused leaves a
//! gap.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bench, Evidence, count};
use crate::promise::phone::{Answered, Event};
use crate::promise::plan::{Plan, Victim};
use crate::promise::tally::Class;
use crate::promise::writer::message_id;

pub(super) fn judge(plan: &Plan, evidence: &Evidence, bench: &mut Bench) {
    let answers = answers_by_text(evidence);
    let mut surplus: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, line) in plan.lines.iter().enumerate() {
        let text = plan.line_text(number);
        let answered = answers.get(text.as_str()).map_or(&[][..], Vec::as_slice);
        let copies = answered.iter().filter(|a| is_taken(a)).count();
        match classify(plan, evidence, number, answered, copies) {
            Ok(class) => count(&mut bench.tally.to_sip, class),
            Err(fault) => bench.fault(format!("{text:?} {fault}")),
        }
        if copies > 1 {
            *surplus.entry(line.reader).or_default() += copies - 1;
        }
        let names: BTreeSet<_> = answered
            .iter()
            .map(|a| (&a.call_id, &a.cseq, &a.sender))
            .collect();
        if names.len() > 1 {
            bench.fault(format!(
                "{text:?} was sent as different requests: {names:?}"
            ));
        }
    }
    check_outboxes(plan, evidence, bench);
    for (reader, copies) in surplus {
        bench.tally.surplus.0 += copies;
        let bound = evidence.deaths.iter().filter(|d| doubles(d.victim)).count();
        if copies > bound {
            bench.fault(format!(
                "reader {reader} got {copies} surplus copies, {bound} deaths explain as many"
            ));
        }
    }
    check_conversations(plan, evidence, bench);
}

fn classify(
    plan: &Plan,
    evidence: &Evidence,
    number: usize,
    answered: &[&Answered],
    copies: usize,
) -> Result<Class, String> {
    let ledger = &evidence.ledger;
    let Some(&sent) = ledger.sent.get(&number) else {
        return Err("was never sent".to_owned());
    };
    let errors = ledger.errors.get(&number).map_or(&[][..], Vec::as_slice);
    if errors.len() > 1 + evidence.deaths.len() {
        return Err(format!("has too many errors: {errors:?}"));
    }
    let unsure = |error: &String| error.contains("may not have been delivered");
    match (copies, errors) {
        (0, []) => classify_silence(plan, evidence, number, sent, answered),
        (0, _) if ledger.promised.contains_key(&number) => Ok(Class::Refused),
        (0, _) => Ok(Class::TurnedAway),
        (1, []) => Ok(Class::Once),
        (_, []) => Ok(Class::Again),
        (_, errors) if errors.iter().all(unsure) => Ok(Class::Doubt),
        (_, errors) => Err(format!("was delivered and its sender told {errors:?}")),
    }
}

/// Nobody heard anything: that is in order only where nothing was promised, or nobody could listen.
fn classify_silence(
    plan: &Plan,
    evidence: &Evidence,
    number: usize,
    sent: f64,
    answered: &[&Answered],
) -> Result<Class, String> {
    let id = message_id(plan.seed, number);
    let committed = evidence
        .deaths
        .iter()
        .any(|death| death.outbox.as_ref().is_some_and(|o| o.contains(&id)));
    let promised = committed || evidence.ledger.promised.contains_key(&number);
    let mut deaths = evidence.deaths.iter();
    if !promised {
        let exposed = deaths.any(|death| {
            uncovers(death.victim) && death.from <= sent + WINDOW && sent <= death.until
        });
        return if exposed {
            Ok(Class::Uncommitted)
        } else {
            Err("was lost in silence, with nobody killed who could have held it".to_owned())
        };
    }
    let refused = answered.iter().any(|a| a.status >= 300 && a.status != 480);
    if refused && deaths.any(|death| death.victim == Victim::Server) {
        return Ok(Class::Unheard);
    }
    Err(format!(
        "was lost in silence, though {}",
        if committed {
            "it was in the outbox"
        } else {
            "the gateway had taken charge of it"
        }
    ))
}

/// What the gateway had taken charge of and nobody had answered yet was in the outbox of every
/// component that died.
fn check_outboxes(plan: &Plan, evidence: &Evidence, bench: &mut Bench) {
    let mut answered: BTreeMap<&str, f64> = BTreeMap::new();
    for (at, event) in &evidence.record {
        if let Event::Answered(answer) = event
            && answer.status != 480
        {
            answered.entry(&answer.body).or_insert(*at);
        }
    }
    for death in &evidence.deaths {
        let Some(outbox) = &death.outbox else {
            continue;
        };
        for (number, promised) in &evidence.ledger.promised {
            let text = plan.line_text(*number);
            let open = answered
                .get(text.as_str())
                .is_none_or(|at| *at > death.killed)
                && !evidence.ledger.errors.contains_key(number);
            if open && *promised < death.from && !outbox.contains(&message_id(plan.seed, *number)) {
                bench.fault(format!("{text:?} was under way, but not in the outbox"));
            }
        }
    }
}

fn answers_by_text(evidence: &Evidence) -> BTreeMap<&str, Vec<&Answered>> {
    let mut answers: BTreeMap<&str, Vec<&Answered>> = BTreeMap::new();
    for (_, event) in &evidence.record {
        if let Event::Answered(answered) = event {
            answers.entry(&answered.body).or_default().push(answered);
        }
    }
    answers
}

fn check_conversations(plan: &Plan, evidence: &Evidence, bench: &mut Bench) {
    let numbers: BTreeMap<String, usize> = (0..plan.lines.len())
        .map(|number| (plan.line_text(number), number))
        .collect();
    let mut seen = BTreeSet::new();
    let mut conversations: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (_, event) in &evidence.record {
        let Event::Answered(answered) = event else {
            continue;
        };
        let Some(&number) = numbers.get(&answered.body).filter(|_| is_taken(answered)) else {
            continue;
        };
        if seen.insert(number)
            && let Some(line) = plan.lines.get(number)
        {
            let conversation = conversations.entry((line.writer, line.reader)).or_default();
            conversation.push(number);
        }
    }
    for ((writer, reader), numbers) in conversations {
        bench.check_order(
            &format!("from writer {writer} to reader {reader}"),
            &numbers,
        );
    }
}

fn is_taken(answered: &Answered) -> bool {
    (200..300).contains(&answered.status)
}

/// Whose death makes it unknown whether an outstanding request was taken. A component that dies
/// alone does not: the b2bua knows what it has sent.
fn doubles(victim: Victim) -> bool {
    match victim {
        Victim::B2bua | Victim::Both | Victim::Phone => true,
        Victim::Component | Victim::Server => false,
    }
}

/// Whose death may take stanzas along that the outbox never held.
fn uncovers(victim: Victim) -> bool {
    match victim {
        Victim::Component | Victim::Both | Victim::Server => true,
        Victim::B2bua | Victim::Phone => false,
    }
}

/// How long before a death a message may have been sent that was not committed at it, in seconds.
const WINDOW: f64 = 2.0;
