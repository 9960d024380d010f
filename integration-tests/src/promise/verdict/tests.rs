use super::*;
use crate::promise::phone::{Answered, Attempt, Event};
use crate::promise::plan::{Line, Plan, Victim};
use crate::promise::writer::message_id;

/// Two lines to one reader and one message of each call, all of it in order.
fn plan() -> Plan {
    let mut plan = Plan::draw(1, Victim::Component);
    plan.lines = vec![
        Line {
            writer: 0,
            reader: 0
        };
        2
    ];
    plan.calls = 1;
    plan
}

fn answered(plan: &Plan, number: usize, status: u16) -> Dated {
    let answered = Answered {
        body: plan.line_text(number),
        status,
        cseq: number.to_string(),
        ..Answered::default()
    };
    (5.0, Event::Answered(answered))
}

fn asked(plan: &Plan, call: usize, cseq: u64, status: Option<u16>) -> Vec<Dated> {
    let attempt = Attempt {
        body: plan.call_text(call, 0),
        run: 0,
        cseq,
    };
    let asked = (5.0, Event::Asked(attempt.clone()));
    let end = status.map(|status| {
        let retry_after = if status == 480 { "30" } else { "" }.to_owned();
        let told = Event::Final {
            attempt,
            status,
            retry_after,
        };
        (6.0, told)
    });
    std::iter::once(asked).chain(end).collect()
}

fn death(victim: Victim) -> Death {
    Death {
        victim,
        from: 5.5,
        killed: 5.5,
        until: 5.6,
        outbox: None,
    }
}

/// A run in which all went well.
fn good(plan: &Plan) -> Evidence {
    let mut evidence = Evidence::default();
    for number in 0..2 {
        evidence.ledger.sent.insert(number, 4.0);
        evidence.ledger.promised.insert(number, 4.5);
        evidence.record.push(answered(plan, number, 200));
    }
    for (call, called) in ["juliet", "romeo", "alice"].into_iter().enumerate() {
        evidence.record.extend(asked(plan, call, 1, Some(202)));
        let text = ("caller".to_owned(), plan.call_text(call, 0));
        evidence.archives.insert(called.to_owned(), vec![text]);
    }
    evidence.record.extend(asked(plan, 3, 1, Some(404)));
    evidence
}

fn fault_of(plan: &Plan, evidence: &Evidence) -> String {
    let (_, faults) = judge(plan, evidence);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn a_good_run_has_no_fault() {
    let plan = plan();
    let (tally, faults) = judge(&plan, &good(&plan));
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(
        (tally.to_sip[&Class::Once], tally.to_xmpp[&Class::Once]),
        (2, 3)
    );
    assert_eq!(tally.to_xmpp[&Class::Refused], 1);
}

#[test]
fn what_was_promised_and_never_came_is_lost() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.record.remove(1);
    evidence.deaths.push(death(Victim::Component));
    assert!(fault_of(&plan, &evidence).contains("taken charge"));
    evidence.ledger.promised.remove(&1);
    assert_eq!(judge(&plan, &evidence).0.to_sip[&Class::Uncommitted], 1);
    let row = message_id(plan.seed, 1);
    evidence.deaths[0].outbox = Some([row].into());
    assert!(fault_of(&plan, &evidence).contains("in the outbox"));
}

#[test]
fn the_window_of_a_death_covers_only_what_was_sent_then() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.record.remove(1);
    evidence.ledger.promised.remove(&1);
    for (victim, sent) in [
        (Victim::B2bua, 5.4),
        (Victim::Component, 1.0),
        (Victim::Server, 9.0),
    ] {
        evidence.deaths = vec![death(victim)];
        evidence.ledger.sent.insert(1, sent);
        assert!(fault_of(&plan, &evidence).contains("nobody killed"));
    }
}

#[test]
fn copies_are_bound_by_deaths_that_explain_them() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.record.push(answered(&plan, 1, 200));
    for victim in [Victim::Component, Victim::Server] {
        evidence.deaths = vec![death(victim)];
        assert!(fault_of(&plan, &evidence).contains("surplus"));
    }
    evidence.deaths = vec![death(Victim::B2bua)];
    let (tally, faults) = judge(&plan, &evidence);
    assert_eq!((faults.len(), tally.to_sip[&Class::Again]), (0, 1));
}

#[test]
fn nobody_is_told_that_a_delivered_message_failed() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.ledger.errors.insert(0, vec!["gone: ".to_owned()]);
    assert!(fault_of(&plan, &evidence).contains("was delivered"));
    let doubt = "x: It may not have been delivered.".to_owned();
    evidence.ledger.errors.insert(0, vec![doubt]);
    assert_eq!(judge(&plan, &evidence).0.to_sip[&Class::Doubt], 1);
}

#[test]
fn what_is_under_way_is_in_the_outbox_of_a_component_that_dies() {
    let plan = plan();
    let mut evidence = good(&plan);
    for dated in &mut evidence.record {
        dated.0 += 1.0;
    }
    let rows = |numbers: &[usize]| {
        let ids = numbers.iter().map(|number| message_id(plan.seed, *number));
        Some(ids.collect())
    };
    evidence.deaths = vec![death(Victim::Component)];
    evidence.deaths[0].outbox = rows(&[0]);
    assert!(fault_of(&plan, &evidence).contains("not in the outbox"));
    evidence.deaths[0].outbox = rows(&[0, 1]);
    assert_eq!(judge(&plan, &evidence).1, Vec::<String>::new());
}

#[test]
fn order_is_kept() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.record.swap(0, 1);
    assert!(fault_of(&plan, &evidence).contains("0 came behind 1"));
}

#[test]
fn a_2xx_means_that_the_server_has_it() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.archives.insert("romeo".to_owned(), Vec::new());
    evidence.deaths.push(death(Victim::Server));
    assert!(fault_of(&plan, &evidence).contains("never had it"));
    evidence.forgetful = true;
    assert_eq!(judge(&plan, &evidence).0.to_xmpp[&Class::InsideServer], 1);
}

#[test]
fn a_caller_that_is_not_told_is_lost_unless_it_died() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.record.pop();
    assert!(fault_of(&plan, &evidence).contains("no final response"));
    evidence.deaths.push(death(Victim::Phone));
    assert_eq!(judge(&plan, &evidence).0.to_xmpp[&Class::SenderDied], 1);
}

#[test]
fn a_copy_in_the_archive_needs_a_request_that_was_open_at_a_death() {
    let plan = plan();
    let mut evidence = good(&plan);
    let copy = ("caller".to_owned(), plan.call_text(0, 0));
    evidence
        .archives
        .entry("juliet".to_owned())
        .or_default()
        .push(copy);
    assert!(fault_of(&plan, &evidence).contains("arrived 2 times"));
    evidence.deaths.push(death(Victim::Server));
    assert_eq!(judge(&plan, &evidence).0.to_xmpp[&Class::Again], 1);
}

#[test]
fn the_server_being_down_is_480_with_a_time() {
    let plan = plan();
    let mut evidence = good(&plan);
    evidence.record.extend(asked(&plan, 3, 2, Some(503)));
    assert!(fault_of(&plan, &evidence).contains("told 503"));
}
