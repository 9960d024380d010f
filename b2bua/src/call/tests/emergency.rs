//! Calls for help, where a trunk is named for them (specs 10.8).

use std::time::Duration;

use super::*;
use crate::core::bench::hop;
use crate::emergency::Emergency;
use crate::policy::Allowance;
use crate::trunk::Privacy;
use crate::trunk::tests::trunk;

/// The trunk `e` takes such calls and can hide nobody, and users may do nearly nothing.
fn settings_of_need() -> crate::settings::Settings {
    let mut settings = settings();
    let named = Trunk {
        privacy: Privacy::Never,
        prefix: "7".into(),
        ..trunk("e", &[], Some("192.0.2.9"))
    };
    let other = trunk("x", &["*", "+*"], Some("192.0.2.1"));
    settings.trunks = Arc::new(Trunks::new(vec![other, named]));
    settings.emergency = Emergency::default().with_trunk(Some("e".into()));
    settings.numbering.hide = vec!["*67".into()];
    settings.call.longest = Some(Duration::from_secs(60));
    settings.policy = settings.policy.with_allowance(Allowance {
        user_lines: 1,
        user_calls: 1,
        user_minutes: 1,
        all_calls: 1,
        all_minutes: 1,
        ..Allowance::unlimited()
    });
    settings
}

fn calls(user: &str) -> Fact {
    let Fact::Offer(mut offer) = offer(Some(description("x", Setup::Actpass))) else {
        panic!("an offer");
    };
    offer.to = address(user, "sip.example.com");
    Fact::Offer(offer)
}

#[test]
fn a_call_for_help_is_refused_by_no_bound_and_hidden_from_nobody() {
    let mut bench = Bench::with(settings_of_need());
    bench.fact_of(&CallId("usual".into()), calls("+15559001"));
    bench.open_media();
    assert_eq!(hop(&bench.request().1), "UDP 192.0.2.1:5060");
    bench.fact_of(&CallId("too much".into()), calls("+15559002"));
    assert_eq!(end_of(&bench.facts()), Some(EndReason::Forbidden));
    for dialled in ["911", "*67911"] {
        bench.requests();
        bench.fact_of(&CallId(dialled.into()), calls(dialled));
        bench.open_media();
        let (request, transmit) = bench.request();
        assert_eq!(hop(&transmit), "UDP 192.0.2.9:5060", "{dialled}");
        let uri = request.uri.to_string();
        assert_eq!(uri, "sip:911@192.0.2.9;user=phone", "{dialled}");
        let from = request.headers.get("From").unwrap();
        assert!(from.starts_with("<sip:juliet%40example.com@"), "{from}");
        assert_eq!(request.headers.get("Privacy"), None);
        bench.respond(&request, 200, PCMU);
        bench.commands();
    }
    // Nor does one end it.
    let over = Fact::End(End::new(EndReason::Success));
    bench.fact_of(&CallId("usual".into()), over);
    bench.requests();
    bench.facts();
    bench.pass(115);
    assert_eq!(end_of(&bench.facts()), None);
    // The minutes of help are nobody's: the next usual call has the whole day's.
    bench.fact_of(&CallId("next".into()), calls("+15559003"));
    assert_eq!(end_of(&bench.facts()), None);
}

/// A line is a line: when the provider takes no more, neither do we.
#[test]
fn a_call_for_help_needs_a_line_all_the_same() {
    let mut settings = settings_of_need();
    let trunks = settings.trunks.iter().map(|(_, trunk)| Trunk {
        channels: 1,
        ..trunk.clone()
    });
    settings.trunks = Arc::new(Trunks::new(trunks.collect()));
    let mut bench = Bench::with(settings);
    bench.fact_of(&CallId("a".into()), calls("911"));
    bench.open_media();
    bench.request();
    bench.fact_of(&CallId("b".into()), calls("112"));
    assert_eq!(end_of(&bench.facts()), Some(EndReason::ResourceConstraint));
}

/// A number that a trunk's prefix makes one, and one at somebody else's domain.
#[test]
fn what_is_no_call_for_help_is_refused_as_one() {
    let mut settings = settings_of_need();
    let nine = Trunk {
        prefix: "9".into(),
        ..trunk("x", &["*", "*@evil.test"], Some("192.0.2.1"))
    };
    let named = trunk("e", &[], Some("192.0.2.9"));
    settings.trunks = Arc::new(Trunks::new(vec![nine, named]));
    let mut bench = Bench::with(settings);
    let Fact::Offer(mut elsewhere) = calls("911") else {
        panic!("an offer");
    };
    elsewhere.to = address("911", "evil.test");
    for fact in [calls("11"), Fact::Offer(elsewhere)] {
        bench.fact(fact);
        assert_eq!(end_of(&bench.facts()), Some(EndReason::Emergency));
        assert!(bench.requests().is_empty());
    }
}

/// Calls for help that ring take no place from whoever calls back by their trunk.
#[test]
fn who_calls_back_finds_a_place() {
    let mut settings = settings_of_need();
    settings.call.max = 4;
    let named = trunk("e", &[], Some(PEER));
    settings.trunks = Arc::new(Trunks::new(vec![named]));
    let mut bench = Bench::with(settings);
    for call in ["a", "b"] {
        bench.fact_of(&CallId(call.into()), calls("911"));
        bench.open_media();
    }
    bench.call_from_sip(PCMU);
    assert!(!bench.codes().contains(&480));
}
