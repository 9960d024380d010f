use crate::action::Action;
use crate::core::bench::{Bench, hop};
use crate::message::request::tests::message;
use crate::settings::tests::settings;
use crate::sip::digest::Credential;
use crate::sip::{Method, Request};
use crate::trunk::tests::trunk;
use crate::trunk::{Trunk, Trunks};
use std::sync::Arc;
use tandem_shared::event::Event;
use tandem_shared::message::{Message, MessageId};
use tandem_shared::refusal::Reason;

mod passed;

fn to(user: &str, number: u32) -> Message {
    let mut message = message(
        ("juliet", "example.com"),
        (user, "pbx.example.net"),
        "hello",
    );
    message.id = MessageId(format!("{user}{number}"));
    message.ordinal.number = number;
    message
}

fn reasons(bench: &mut Bench) -> Vec<(String, Option<Reason>)> {
    let outcomes = bench.outcomes().into_iter();
    outcomes
        .map(|(id, refusal)| (id, refusal.map(|refusal| refusal.reason)))
        .collect()
}

fn delivered(id: &str) -> (String, Option<Reason>) {
    (id.into(), None)
}

fn refused(id: &str, reason: Reason) -> (String, Option<Reason>) {
    (id.into(), Some(reason))
}

#[test]
fn one_request_at_a_time_for_each_destination_and_in_order() {
    let mut bench = Bench::new();
    for message in [
        to("romeo", 1),
        to("romeo", 2),
        to("tybalt", 1),
        to("romeo", 3),
    ] {
        bench.send(message);
    }
    let first = bench.requests();
    let users: Vec<_> = first
        .iter()
        .map(|(request, _)| request.uri.to_string())
        .collect();
    assert_eq!(
        users,
        ["sip:romeo@pbx.example.net", "sip:tybalt@pbx.example.net"]
    );
    assert_eq!(hop(&first[0].1), "UDP 192.0.2.2:5070");
    bench.answer(&first[0].0, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("romeo1")]);
    let (second, _) = bench.request();
    bench.answer(&second, 202, None);
    let (third, _) = bench.request();
    assert_eq!(reasons(&mut bench), [delivered("romeo2")]);
    let number = |request: &Request| request.cseq().unwrap().number;
    assert!(number(&first[0].0) < number(&second) && number(&second) < number(&third));
}

#[test]
fn an_outcome_is_published_before_the_next_request_leaves() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    let (first, _) = bench.request();
    bench.answer(&first, 404, None);
    let kinds: Vec<_> = bench
        .actions
        .iter()
        .map(|action| matches!(action, Action::Publish(_)))
        .collect();
    assert_eq!(kinds, [true, false]);
}

#[test]
fn a_repeat_in_progress_is_ignored_and_a_finished_one_answered() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 1));
    let (request, _) = bench.request();
    bench.answer(&request, 486, None);
    assert_eq!(reasons(&mut bench), [refused("romeo1", Reason::Busy)]);
    bench.send(to("romeo", 1));
    assert_eq!(reasons(&mut bench), [refused("romeo1", Reason::Busy)]);
    assert!(bench.requests().is_empty());
}

#[test]
fn what_was_surely_not_delivered_is_sent_again_as_the_same_request() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    let (first, transmit) = bench.request();
    bench.fail(&transmit);
    assert!(bench.requests().is_empty() && bench.outcomes().is_empty());
    bench.pass(3);
    let (again, transmit) = bench.request();
    let names = ["Call-ID", "CSeq", "From", "To"];
    assert!(
        names
            .iter()
            .all(|name| first.headers.get(*name) == again.headers.get(*name))
    );
    bench.fail(&transmit);
    bench.pass(1);
    assert!(bench.requests().is_empty(), "the pause grows");
    bench.pass(5);
    let (again, _) = bench.request();
    bench.answer(&again, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("romeo1")]);
    assert_eq!(bench.requests().len(), 1);
}

#[test]
fn it_is_given_up_when_its_time_is_over() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    let mut tries = 0;
    for _ in 0..700 {
        for (_, transmit) in bench.requests() {
            tries += 1;
            bench.fail(&transmit);
        }
        bench.pass(1);
    }
    assert_eq!(
        reasons(&mut bench),
        [refused("romeo1", Reason::RemoteServerTimeout)]
    );
    assert!((10..25).contains(&tries), "{tries}");
    assert_eq!(bench.core.waiting(), 0);
}

#[test]
fn a_peer_that_says_when_is_asked_again_then() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    let (request, _) = bench.request();
    bench.answer(&request, 503, Some(("Retry-After", "30")));
    bench.pass(29);
    assert!(bench.requests().is_empty());
    bench.pass(2);
    let (request, _) = bench.request();
    bench.answer(&request, 480, Some(("Retry-After", "3600")));
    let (_, refusal) = bench.outcomes().remove(0);
    let refusal = refusal.unwrap();
    assert_eq!(
        (refusal.reason, refusal.retry_after),
        (Reason::RecipientUnavailable, Some(3600))
    );
}

#[test]
fn no_answer_is_doubt_and_the_destination_must_answer_a_probe_first() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    bench.requests();
    bench.pass(32);
    assert_eq!(reasons(&mut bench), [refused("romeo1", Reason::InDoubt)]);
    assert!(
        bench
            .requests()
            .iter()
            .all(|(request, _)| request.method == Method::Message)
    );
    bench.send(to("tybalt", 1));
    let (other, _) = bench.request();
    bench.answer(&other, 200, None);
    assert_eq!(
        reasons(&mut bench),
        [delivered("tybalt1")],
        "others do not wait"
    );
    bench.pass(3);
    let (probe, _) = bench.request();
    assert_eq!(probe.method, Method::Options);
    bench.answer(&probe, 408, None);
    bench.pass(6);
    let (probe, _) = bench.request();
    bench.answer(&probe, 404, None);
    let (second, _) = bench.request();
    assert_eq!(second.method, Method::Message);
    bench.answer(&second, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("romeo2")]);
}

#[test]
fn what_waits_behind_doubt_is_refused_in_time() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    bench.pass(700);
    assert_eq!(
        reasons(&mut bench),
        [
            refused("romeo1", Reason::InDoubt),
            refused("romeo2", Reason::RemoteServerTimeout)
        ]
    );
    let messages = bench.requests();
    assert!(
        messages
            .iter()
            .filter(|(request, _)| request.method == Method::Message)
            .count()
            == 1
    );
    bench.pass(700);
    assert_eq!(bench.core.waiting(), 0);
}

#[test]
fn a_stream_lost_after_writing_is_doubt_too() {
    let mut settings = settings();
    settings.message.retry_for = std::time::Duration::from_secs(60);
    let mut bench = Bench::with(settings);
    let mut large = to("romeo", 1);
    large.body = "x".repeat(2000);
    bench.send(large);
    let (_, transmit) = bench.request();
    assert_eq!(hop(&transmit), "TCP 192.0.2.2:5070");
    let connection = crate::sip::hop::ConnectionId(4);
    bench
        .core
        .handle_sip_bound(transmit.id.unwrap(), connection);
    bench
        .core
        .handle_sip_closed(connection, crate::sip::hop::NotSent::Closed, &[], bench.now);
    bench.pass(0);
    assert_eq!(reasons(&mut bench), [refused("romeo1", Reason::InDoubt)]);
}

fn with_account() -> Bench {
    let mut settings = settings();
    let trunks = settings.trunks.iter().map(|(_, trunk)| {
        let mut trunk = trunk.clone();
        trunk.credentials = Some(Credential {
            user: "tandem".into(),
            password: "pw".into(),
            realm: Some("pbx".into()),
        });
        trunk
    });
    settings.trunks = Arc::new(Trunks::new(trunks.collect()));
    Bench::with(settings)
}

const CHALLENGE: (&str, &str) = (
    "WWW-Authenticate",
    r#"Digest realm="pbx", nonce="n", qop="auth""#,
);

#[test]
fn a_challenge_is_answered_with_the_next_cseq() {
    let mut bench = with_account();
    bench.send(to("romeo", 1));
    let (first, _) = bench.request();
    bench.answer(&first, 401, Some(CHALLENGE));
    let (second, _) = bench.request();
    assert!(
        second
            .headers
            .get("Authorization")
            .unwrap()
            .contains("username=\"tandem\"")
    );
    assert_eq!(
        second.cseq().unwrap().number,
        first.cseq().unwrap().number + 1
    );
    assert_eq!(second.call_id(), first.call_id());
    bench.answer(&second, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("romeo1")]);
    bench.send(to("romeo", 2));
    let (third, _) = bench.request();
    assert!(
        third.headers.get("Authorization").is_some(),
        "the nonce is used again"
    );
    assert!(third.cseq().unwrap().number > second.cseq().unwrap().number);
}

#[test]
fn a_wrong_password_is_the_gateways_fault_and_tried_once() {
    for mut bench in [with_account(), Bench::new()] {
        bench.send(to("romeo", 1));
        for _ in 0..4 {
            for (request, _) in bench.requests() {
                bench.answer(&request, 401, Some(CHALLENGE));
            }
        }
        assert_eq!(
            reasons(&mut bench),
            [refused("romeo1", Reason::InternalServerError)]
        );
    }
}

fn sms(body: &str) -> Message {
    let mut message = message(
        ("juliet", "example.com"),
        ("romeo", "sms.example.net"),
        body,
    );
    message.id = MessageId("long".into());
    message
}

#[test]
fn a_long_text_goes_in_parts_one_after_the_other() {
    let mut bench = Bench::new();
    bench.send(sms(&"word ".repeat(400)));
    let mut ids = Vec::new();
    for part in ["(1/3) ", "(2/3) ", "(3/3) "] {
        let (request, transmit) = bench.request();
        assert!(transmit.bytes.len() <= 1300 && hop(&transmit).starts_with("UDP"));
        assert!(request.body.starts_with(part.as_bytes()));
        ids.push((request.call_id().to_owned(), request.from().unwrap().tag()));
        assert!(bench.outcomes().is_empty());
        bench.answer(&request, 200, None);
    }
    assert_eq!(reasons(&mut bench), [delivered("long")]);
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn the_next_message_waits_for_the_component() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    let (first, _) = bench.request();
    bench
        .core
        .handle_bus(tandem_shared::bus::Incoming::Disconnected, bench.now);
    bench.answer(&first, 200, None);
    assert!(bench.requests().is_empty());
    bench
        .core
        .handle_bus(tandem_shared::bus::Incoming::Connected, bench.now);
    bench.greet();
    let (second, _) = bench.request();
    bench.answer(&second, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("romeo2")]);
    bench.send(to("romeo", 1));
    assert_eq!(reasons(&mut bench), [delivered("romeo1")]);
}

#[test]
fn a_peer_without_streams_gets_the_parts_in_datagrams() {
    let mut both = trunk("sms", &["*@sms.example.net"], Some("192.0.2.3"));
    both.split = true;
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![both]));
    let mut bench = Bench::with(settings);
    bench.send(sms(&"word ".repeat(400)));
    let (_, transmit) = bench.request();
    assert_eq!(hop(&transmit), "TCP 192.0.2.3:5060");
    bench.fail(&transmit);
    bench.pass(3);
    let (part, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.3:5060");
    assert!(part.body.starts_with(b"(1/3) "));
}

#[test]
fn a_last_try_begins_at_most_a_little_late() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    let (first, _) = bench.request();
    // The head is answered long after both deadlines; the one behind it would come too late.
    bench.answer(&first, 100, None);
    bench.now.instant += std::time::Duration::from_secs(606);
    bench.answer(&first, 200, None);
    assert_eq!(
        reasons(&mut bench),
        [
            delivered("romeo1"),
            refused("romeo2", Reason::RemoteServerTimeout)
        ]
    );
    assert!(bench.requests().is_empty());
}

#[test]
fn a_refused_part_says_what_arrived() {
    let mut bench = Bench::new();
    bench.send(sms(&"word ".repeat(400)));
    let (request, _) = bench.request();
    bench.answer(&request, 200, None);
    let (request, _) = bench.request();
    bench.answer(&request, 480, None);
    let (_, refusal) = bench.outcomes().remove(0);
    assert!(
        refusal
            .unwrap()
            .text
            .unwrap()
            .starts_with("1 of 3 parts were delivered.")
    );
}

#[test]
fn texts_beyond_every_limit_are_refused() {
    let mut bench = Bench::new();
    bench.send(sms(&"x".repeat(60_000)));
    let mut large = to("romeo", 1);
    large.body = "x".repeat(9000);
    bench.send(large);
    assert_eq!(
        reasons(&mut bench),
        [
            refused("long", Reason::TooLarge),
            refused("romeo1", Reason::TooLarge)
        ]
    );
    assert!(bench.requests().is_empty());
}

#[test]
fn what_goes_nowhere_is_refused_at_once() {
    let mut bench = Bench::new();
    let cases = [
        (("romeo", "example.org"), Reason::ItemNotFound),
        (("romeo", "sip.example.com"), Reason::ItemNotFound),
        (("nurse", "example.com"), Reason::Looped),
        (("911", "sip.example.com"), Reason::Emergency),
        (("+1911", "sip.example.com"), Reason::Emergency),
        (("112", "pbx.example.net"), Reason::Emergency),
        (("sos", "pbx.example.net"), Reason::Emergency),
    ];
    for (at, (target, reason)) in cases.into_iter().enumerate() {
        let mut message = message(("juliet", "example.com"), target, "x");
        message.id = MessageId(at.to_string());
        bench.send(message);
        assert_eq!(
            reasons(&mut bench),
            [refused(&at.to_string(), reason)],
            "{target:?}"
        );
    }
    let mut tired = to("romeo", 1);
    tired.hops = 0;
    bench.send(tired);
    assert_eq!(reasons(&mut bench), [refused("romeo1", Reason::Looped)]);
    assert!(bench.requests().is_empty());
}

#[test]
fn queues_are_bounded_and_say_so() {
    let mut settings = settings();
    settings.message.queue_per_destination = 2;
    settings.message.queue_total = 3;
    let mut bench = Bench::with(settings);
    for message in [to("a", 1), to("a", 2), to("a", 3), to("b", 1), to("c", 1)] {
        bench.send(message);
    }
    assert_eq!(
        reasons(&mut bench),
        [
            refused("a3", Reason::ResourceConstraint),
            refused("c1", Reason::ResourceConstraint)
        ]
    );
    assert_eq!(bench.core.waiting(), 3);
}

#[test]
fn nothing_new_is_sent_when_the_end_is_near() {
    let mut bench = Bench::new();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    let (first, _) = bench.request();
    let now = bench.now;
    bench.core.close(now);
    bench.answer(&first, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("romeo1")]);
    assert!(bench.requests().is_empty());
    assert_eq!(bench.core.in_flight(), 0);
    assert!(bench.actions.iter().all(
        |action| !matches!(action, Action::Publish(e) if matches!(e.event, Event::Message(_)))
    ));
}

/// A gateway with two trunks for everybody at the PBX.
fn two_ways() -> Bench {
    let to = |name, priority, at| Trunk {
        priority,
        ..trunk(name, &["*@pbx.example.net"], Some(at))
    };
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![
        to("a", 1, "192.0.2.1"),
        to("b", 2, "192.0.2.2"),
    ]));
    Bench::with(settings)
}

#[test]
fn what_was_surely_not_delivered_goes_another_way_at_once() {
    let mut bench = two_ways();
    bench.send(to("romeo", 1));
    let (first, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.1:5060");
    bench.fail(&transmit);
    let (second, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
    assert_eq!(first.headers.get("Call-ID"), second.headers.get("Call-ID"));
    bench.answer(&second, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("romeo1")]);
    let mut bench = two_ways();
    bench.send(to("romeo", 1));
    bench.send(to("romeo", 2));
    let (first, _) = bench.request();
    bench.answer(&first, 503, None);
    let (second, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
    // Nobody is left: it is refused, and the next one begins from the beginning.
    bench.answer(&second, 503, None);
    let outcomes = reasons(&mut bench);
    assert_eq!(outcomes.len(), 1);
    assert_eq!(hop(&bench.request().1), "UDP 192.0.2.1:5060");
}

#[test]
fn what_may_have_arrived_goes_no_other_way() {
    let mut bench = two_ways();
    bench.send(to("romeo", 1));
    let (_, sent) = bench.request();
    bench.pass(33);
    assert_eq!(reasons(&mut bench), [refused("romeo1", Reason::InDoubt)]);
    assert!(
        bench
            .requests()
            .iter()
            .all(|(_, transmit)| transmit.bytes == sent.bytes)
    );
}

#[test]
fn a_message_waits_for_a_name_and_is_refused_without_one() {
    let mut settings = settings();
    let named = trunk("named", &["*@pbx.example.net"], Some("pbx.example:5060"));
    settings.trunks = Arc::new(Trunks::new(vec![named]));
    let mut bench = Bench::with(settings);
    bench.send(to("romeo", 1));
    assert!(bench.requests().is_empty());
    let query = crate::dns::Query::Addresses("pbx.example".into());
    assert!(bench.actions.contains(&Action::Resolve(query.clone())));
    let address = crate::dns::Records::Addresses(vec!["192.0.2.9".parse().unwrap()]);
    let answer = crate::dns::Answer::Found(address, std::time::Duration::from_secs(60));
    bench.core.handle_dns(query, answer, bench.now);
    bench.pass(0);
    assert_eq!(hop(&bench.request().1), "UDP 192.0.2.9:5060");
    // Nobody answers for another name: it is tried for as long as any message is.
    bench.core.handle_dns(
        crate::dns::Query::Addresses("pbx.example".into()),
        crate::dns::Answer::Found(
            crate::dns::Records::Addresses(Vec::new()),
            std::time::Duration::from_secs(3600),
        ),
        bench.now,
    );
    bench.send(to("tybalt", 1));
    bench.pass(700);
    assert!(reasons(&mut bench).contains(&refused("tybalt1", Reason::RemoteServerNotFound)));
}
