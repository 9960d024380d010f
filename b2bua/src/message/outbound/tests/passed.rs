//! Trunks that may not carry a message are passed, as with calls: another one may.

use std::time::Duration;

use super::*;
use crate::dns::{Answer, Query, Records};
use crate::trunk::{Identity, Privacy};

/// A gateway with two trunks for numbers: the first cannot hide anybody, the second is as `then` makes it.
fn hidden_by_two_ways(then: impl FnOnce(&mut Trunk)) -> Bench {
    let to = |name, priority, at| Trunk {
        priority,
        ..trunk(name, &["+*"], Some(at))
    };
    let never = Trunk {
        privacy: Privacy::Never,
        ..to("never", 1, "192.0.2.1")
    };
    let mut second = to("second", 2, "192.0.2.2");
    then(&mut second);
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![never, second]));
    settings.numbering.hide = vec!["*67".into()];
    Bench::with(settings)
}

fn hidden(number: u32) -> Message {
    let mut message = to("*67+15559001", number);
    message.to.host = "sip.example.com".into();
    message
}

#[test]
fn a_trunk_that_cannot_hide_the_sender_is_passed() {
    let mut bench = hidden_by_two_ways(|_| {});
    bench.send(hidden(1));
    let (request, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
    assert_eq!(request.headers.get("Privacy"), Some("id"));
    bench.answer(&request, 200, None);
    assert_eq!(reasons(&mut bench), [delivered("*67+155590011")]);
    // Who does not hide takes the first.
    let mut shown = hidden(2);
    shown.to.user = "+15559001".into();
    bench.send(shown);
    assert_eq!(hop(&bench.request().1), "UDP 192.0.2.1:5060");
}

#[test]
fn where_no_trunk_may_carry_it_the_last_says_why() {
    let nurse = |mut message: Message| {
        message.from.user = "nurse".into();
        message
    };
    let mut bench = hidden_by_two_ways(|second| second.identity = Identity::Number);
    bench.send(nurse(hidden(1)));
    let said = bench.outcomes();
    let text = said[0]
        .1
        .as_ref()
        .and_then(|refusal| refusal.text.as_deref());
    assert!(text.unwrap().contains("no telephone number"), "{said:?}");
    assert!(bench.requests().is_empty());
}

/// A trunk that is down may carry later what the other one never may.
#[test]
fn a_trunk_that_may_not_carry_it_does_not_end_the_wait_for_one_that_may() {
    let mut bench = hidden_by_two_ways(|second| second.priority = 0);
    bench.send(hidden(1));
    let (_, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
    bench.fail(&transmit);
    assert_eq!(reasons(&mut bench), []);
    bench.pass(20);
    let (request, transmit) = bench.requests().remove(0);
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
    bench.answer(&request, 503, Some(("Retry-After", "90")));
    assert_eq!(reasons(&mut bench), []);
    bench.pass(80);
    assert!(bench.requests().is_empty());
    bench.pass(15);
    let (request, _) = bench.request();
    bench.answer(&request, 503, None);
    let text = bench.outcomes()[0].1.clone().unwrap().text.unwrap();
    assert!(text.contains("cannot be hidden"), "{text}");
}

/// What becomes an emergency number by the first trunk's prefix goes by the second.
#[test]
fn a_trunk_whose_prefix_makes_it_an_emergency_number_is_passed() {
    let prefixed = |prefix: &str, priority, at| Trunk {
        priority,
        prefix: prefix.into(),
        ..trunk(at, &["*"], Some(at))
    };
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![
        prefixed("9", 1, "192.0.2.1"),
        prefixed("", 2, "192.0.2.2"),
    ]));
    let mut bench = Bench::with(settings);
    let mut message = hidden(1);
    message.to.user = "11".into();
    bench.send(message);
    let (request, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
    assert!(request.uri.to_string().starts_with("sip:11@192.0.2.2"));
}

/// Nor where parts of it are delivered already.
#[test]
fn the_rest_of_a_message_waits_for_the_trunk_that_began_it() {
    let mut bench = hidden_by_two_ways(|second| {
        second.priority = 0;
        second.split = true;
    });
    let mut long = hidden(1);
    long.body = "word ".repeat(400);
    bench.send(long);
    let (_, transmit) = bench.request();
    assert_eq!(hop(&transmit), "TCP 192.0.2.2:5060");
    bench.fail(&transmit);
    bench.pass(3);
    let (part, _) = bench.request();
    assert!(part.body.starts_with(b"(1/3) "));
    bench.answer(&part, 200, None);
    let (part, transmit) = bench.request();
    assert!(part.body.starts_with(b"(2/3) "));
    bench.fail(&transmit);
    assert_eq!(reasons(&mut bench), []);
    bench.pass(20);
    let (part, transmit) = bench.requests().remove(0);
    assert!(part.body.starts_with(b"(2/3) "));
    assert_eq!(hop(&transmit), "UDP 192.0.2.2:5060");
}

/// A name that leads nowhere at present may do so later.
#[test]
fn a_trunk_without_an_address_is_waited_for() {
    let mut bench = hidden_by_two_ways(|second| {
        second.priority = 0;
        second.next_hop = trunk("x", &[], Some("pbx.example:5060")).next_hop;
    });
    let query = Query::Addresses("pbx.example".into());
    let found = |addresses| Answer::Found(Records::Addresses(addresses), Duration::from_secs(5));
    bench.send(hidden(1));
    bench
        .core
        .handle_dns(query.clone(), found(Vec::new()), bench.now);
    bench.pass(0);
    assert_eq!(reasons(&mut bench), []);
    assert!(bench.requests().is_empty());
    let address = vec!["192.0.2.9".parse().unwrap()];
    bench.pass(20);
    bench.core.handle_dns(query, found(address), bench.now);
    bench.pass(20);
    let (_, transmit) = bench.requests().remove(0);
    assert_eq!(hop(&transmit), "UDP 192.0.2.9:5060");
}
