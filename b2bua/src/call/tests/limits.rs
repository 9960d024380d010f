//! What bounds calls: the lines of a trunk, and time (specs T1).

use std::time::Duration;

use super::*;
use crate::core::bench::hop;
use crate::trunk::tests::trunk;

#[test]
fn a_call_lasts_only_so_long() {
    let mut settings = settings();
    settings.call.longest = Some(Duration::from_secs(600));
    let mut bench = Bench::with(settings);
    let (_, invite) = bench.call_to_sip(Some(description("x", Setup::Actpass)));
    bench.respond(&invite, 200, PCMU);
    bench.pass(590);
    bench.requests();
    assert_eq!(end_of(&bench.facts()), None);
    bench.pass(20);
    assert_eq!(end_of(&bench.facts()), Some(EndReason::Success));
    let said = bench.requests();
    let said: Vec<_> = said.iter().map(|(request, _)| &request.method).collect();
    assert_eq!(said, [&Method::Bye]);
}

/// A trunk whose lines are in use takes no call more: one to SIP goes by the next trunk, or ends in words.
#[test]
fn a_trunk_has_only_so_many_lines() {
    let line = |name, priority, at| Trunk {
        priority,
        channels: 1,
        ..trunk(name, &["*@pbx.example.net"], Some(at))
    };
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(vec![
        line("second", 20, "192.0.2.2:5070"),
        line("first", 10, "192.0.2.1"),
    ]));
    let mut bench = Bench::with(settings);
    for (call, wanted) in [("a", "UDP 192.0.2.1:5060"), ("b", "UDP 192.0.2.2:5070")] {
        let description = description("t", Setup::Actpass);
        bench.fact_of(&CallId(call.into()), offer(Some(description)));
        bench.open_media();
        assert_eq!(hop(&bench.request().1), wanted, "{call}");
        let _ = (bench.commands(), bench.facts());
    }
    bench.fact_of(&CallId("c".into()), offer(None));
    assert_eq!(end_of(&bench.facts()), Some(EndReason::ResourceConstraint));
    assert!(bench.requests().is_empty());
    bench.packet(PEER, &invite("d", PCMU));
    assert_eq!(bench.codes(), [480]);
}
