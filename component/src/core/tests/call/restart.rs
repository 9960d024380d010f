use super::*;
use proptest::prelude::*;

/// What a killed process leaves in the store.
fn left_behind(actions: &[Action], rows: &mut Vec<Record>) {
    for action in actions {
        match action {
            Action::Store(Record::Call(open)) => {
                let key = open.key();
                rows.retain(|row| !matches!(row, Record::Call(other) if other.key() == key));
                rows.push(Record::Call(open.clone()));
            }
            Action::Forget(Key::Call(key)) => {
                rows.retain(|row| !matches!(row, Record::Call(other) if other.key() == *key));
            }
            _ => {}
        }
    }
}

/// What the next run says when it finds what the last one had open.
fn next_run(rows: Vec<Record>) -> (Bench, Round) {
    let mut bench = Bench::new();
    bench.core.restore(rows, bench.now);
    assert_eq!(bench.round().said(), [""; 0], "there is no stream yet");
    bench.core.handle_stream_opened(bench.now);
    let round = bench.round();
    (bench, round)
}

#[test]
fn after_a_crash_every_open_id_is_closed() {
    let call = CallId(CALL.into());
    type Play<'a> = &'a dyn Fn(&mut Bench) -> Vec<Round>;
    let ready = || Fact::Ready(Ready::default());
    let cases: [(Play, &[&str]); 6] = [
        (
            &|bench| vec![bench.propose()],
            &["message /phone: reject(general-error)"],
        ),
        (
            &|bench| {
                let first = bench.propose();
                let call = first.call();
                vec![first, bench.far(&call, ready())]
            },
            &["message /phone: finish(general-error)"],
        ),
        (
            &|bench| vec![bench.jingle(SID, "session-initiate", CONTENT)],
            &["iq /phone: session-terminate(general-error)"],
        ),
        (
            &|bench| vec![bench.far_offer()],
            &["message : retract(general-error)"],
        ),
        (
            &|bench| vec![bench.far_offer(), bench.answer(USER, "proceed", "")],
            &[
                "message : retract(general-error)",
                "message /phone: finish(general-error)",
            ],
        ),
        (
            &|bench| {
                vec![
                    bench.far_offer(),
                    bench.answer(USER, "proceed", ""),
                    bench.far_describes(&call, Role::Offer, ours()),
                    bench.jingle(CALL, "session-accept", CONTENT),
                ]
            },
            &[
                "iq /phone: session-terminate(general-error)",
                "message /phone: finish(general-error)",
            ],
        ),
    ];
    for (play, expected) in cases {
        let mut bench = Bench::befriended();
        let mut rows = Vec::new();
        for round in play(&mut bench) {
            left_behind(&round.actions, &mut rows);
        }
        assert_eq!(rows.len(), 1);
        let (mut next, round) = next_run(rows);
        assert_eq!(round.said(), expected);
        next.expect_nothing_left(&round);
    }
}

/// A second call: one to the same contact would take the first one's place.
fn propose_to_another(bench: &mut Bench) -> Round {
    let audio = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
    bench.jmi(USER, "+15550000000@sip.example.com", "propose", audio)
}

#[test]
fn what_the_server_did_not_confirm_is_said_again() {
    let mut bench = Bench::befriended();
    let call = bench.active_from_user();
    let round = bench.far(&call, end(EndReason::Success));
    assert_eq!(round.said().len(), 2);
    bench.core.handle_stream_closed(bench.now);
    bench.core.handle_stream_opened(bench.now);
    let again = bench.round();
    assert_eq!(again.said(), round.said());
    bench.expect_nothing_left(&again);
}

#[test]
fn without_a_stream_answered_calls_go_on_and_others_end() {
    let mut bench = Bench::befriended();
    let active = bench.active_from_sip();
    let waiting = propose_to_another(&mut bench).call();
    bench.core.handle_stream_closed(bench.now);
    let round = bench.round();
    assert_eq!(
        (round.call(), round.end()),
        (waiting, EndReason::Unreachable)
    );
    assert!(round.said().is_empty());
    assert!(
        bench
            .far(&active, end(EndReason::Success))
            .said()
            .is_empty()
    );
    bench.core.handle_stream_opened(bench.now);
    let round = bench.round();
    let mut said = round.said();
    said.sort();
    let expected = [
        "iq /phone: session-terminate(success)",
        "message /phone: finish(success)",
        "message /phone: reject(timeout)",
    ];
    assert_eq!(said, expected);
    bench.expect_nothing_left(&round);
}

#[test]
fn without_sip_every_call_ends() {
    let mut bench = Bench::befriended();
    bench.active_from_sip();
    propose_to_another(&mut bench);
    bench.core.handle_bus(Incoming::Disconnected, bench.now);
    let round = bench.round();
    let mut said = round.said();
    said.sort();
    let expected = [
        "iq /phone: session-terminate(general-error)",
        "message /phone: finish(general-error)",
        "message /phone: reject(general-error)",
    ];
    assert_eq!(said, expected);
    bench.expect_nothing_left(&round);
    let round = bench.propose_as("another");
    assert_eq!(round.said(), ["message /phone: reject(general-error)"]);
}

#[test]
fn an_end_in_order_ends_every_call_on_both_sides() {
    let mut bench = Bench::open();
    bench.active_from_sip();
    bench.core.say_goodbye();
    let round = bench.round();
    assert_eq!(round.end(), EndReason::Failed);
    let said = round.said();
    let expected = [
        "iq /phone: session-terminate(general-error)",
        "message /phone: finish(general-error)",
        "presence : ",
    ];
    assert_eq!(said, expected);
    let last = published(&round.actions).last().unwrap().event.clone();
    assert_eq!(
        last,
        Event::Control(Control::Goodbye),
        "after everything else"
    );
}

const WORDS: [&str; 6] = [
    "ringing", "proceed", "reject", "retract", "finish", "accept",
];
const ACTIONS: [&str; 8] = [
    "session-initiate",
    "session-accept",
    "session-terminate",
    "session-info",
    "transport-info",
    "content-modify",
    "content-remove",
    "transport-replace",
];

/// One thing that happens, chosen by two numbers.
fn happen(bench: &mut Bench, (what, which): (u8, u8), latest: Option<&CallId>) -> Round {
    let call = latest.cloned().filter(|_| which & 2 == 0);
    let call = call.unwrap_or_else(|| CallId(CALL.into()));
    let user = ["juliet@example.com/phone", "juliet@example.com/tablet"][usize::from(which & 1)];
    let sid = [SID, CALL][usize::from(which >> 1 & 1)];
    let pick = usize::from(which >> 2);
    match what % 12 {
        0 => bench.propose(),
        1 => bench.far_offer(),
        2 => bench.answer(user, WORDS[pick % WORDS.len()], ""),
        3 => bench.jmi(user, FULL, WORDS[pick % WORDS.len()], ""),
        4 | 5 => bench.jingle_as((user, FULL), sid, ACTIONS[pick % ACTIONS.len()], CONTENT),
        6 => bench.far_describes(
            &call,
            [Role::Offer, Role::Answer, Role::Refusal][pick % 3],
            ours(),
        ),
        7 => bench.far(
            &call,
            [
                Fact::Ringing,
                Fact::Ready(Ready::default()),
                Fact::Hold(true),
            ][pick % 3]
                .clone(),
        ),
        8 => bench.after(u64::from(which)),
        9 => {
            let form = [" type='unavailable'", ""][pick % 2];
            bench.stanza(&format!("<presence from='{user}' to='{CONTACT}'{form}/>"));
            bench.round()
        }
        10 if which > 200 => {
            bench.core.handle_stream_closed(bench.now);
            bench.core.handle_stream_opened(bench.now);
            bench.round()
        }
        _ => bench.far(&call, end(EndReason::Success)),
    }
}

/// The calls of the user's that SIP believes in.
#[derive(Default)]
struct Believed {
    open: std::collections::BTreeSet<CallId>,
    latest: Option<CallId>,
    rows: Vec<Record>,
}

impl Believed {
    /// SIP hears `round`, having said something about `spoken`.
    fn hear(&mut self, bench: &mut Bench, round: &Round, spoken: Option<&CallId>) {
        left_behind(&round.actions, &mut self.rows);
        for event in round.events() {
            match event.fact {
                Fact::Offer(_) => {
                    assert!(self.open.insert(event.call.clone()));
                    self.latest = Some(event.call);
                }
                // Who speaks about a call that is over hears so again.
                Fact::End(_) if event.call.0 != CALL => {
                    let was_open = self.open.remove(&event.call);
                    assert!(was_open || spoken == Some(&event.call), "{event:?}");
                }
                _ => {}
            }
        }
        bench.pong(&round.actions);
    }
}

proptest! {
    /// Whatever happens in whatever order: SIP hears one end of a call, every call that is not
    /// answered ends by itself, and nothing is left of any.
    #[test]
    fn nothing_is_left_of_any_call(steps in prop::collection::vec(any::<(u8, u8)>(), 1..60)) {
        let mut bench = Bench::open();
        let mut believed = Believed::default();
        for step in steps {
            let latest = believed.latest.clone();
            let round = happen(&mut bench, step, latest.as_ref());
            believed.hear(&mut bench, &round, latest.as_ref());
        }
        for _ in 0..20 {
            let round = bench.after(20);
            believed.hear(&mut bench, &round, None);
        }
        bench.core.handle_bus(Incoming::Disconnected, bench.now);
        for _ in 0..2 {
            let round = bench.round();
            believed.hear(&mut bench, &round, None);
        }
        prop_assert_eq!(bench.core.calls_held(), (0, 0));
        prop_assert!(believed.rows.is_empty(), "{:?}", believed.rows);
    }
}
