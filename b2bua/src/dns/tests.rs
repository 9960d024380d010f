use super::*;
use crate::sip::Transport;
use crate::sip::uri::HostPort;

const LIFE: Duration = Duration::from_secs(60);

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Instant::now()
}

fn place(text: &str, transport: Option<Transport>) -> Place {
    let HostPort { host, port } = HostPort::parse(text).unwrap();
    Place {
        host,
        port,
        transport,
        tls_name: None,
        profile: Default::default(),
    }
}

fn addresses(list: &[&str]) -> Records {
    Records::Addresses(list.iter().map(|ip| ip.parse().unwrap()).collect())
}

fn srv(rows: &[(u16, u16, &str)]) -> Records {
    let row = |(priority, port, target): &(u16, u16, &str)| Srv {
        priority: *priority,
        weight: 1,
        port: *port,
        target: (*target).into(),
    };
    Records::Srv(rows.iter().map(row).collect())
}

fn naptr(rows: &[(u16, &str, &str)]) -> Records {
    let row = |(order, service, replacement): &(u16, &str, &str)| Naptr {
        order: *order,
        preference: 10,
        flags: "s".into(),
        service: (*service).into(),
        replacement: (*replacement).into(),
    };
    Records::Naptr(rows.iter().map(row).collect())
}

/// Locates `place` with a name server that has `zone`; also tells what was asked, in order.
fn locate(place: &Place, zone: &[(Query, Records)]) -> (Vec<String>, Vec<String>) {
    let (mut dns, mut mint, now) = (Dns::default(), Mint::new([3; 16]), now());
    let mut asked = Vec::new();
    for _ in 0..10 {
        if let Located::Hops(hops) = dns.locate(Whose::All, place, &mut mint, now) {
            return (hops.iter().map(show).collect(), asked);
        }
        while let Some(query) = dns.poll_query() {
            asked.push(format!("{query:?}"));
            let found = zone.iter().find(|(name, _)| *name == query);
            let records = found.map_or_else(|| empty(&query), |(_, records)| records.clone());
            dns.handle_answer(query, Answer::Found(records, LIFE), now);
        }
    }
    panic!("it never ends");
}

fn empty(query: &Query) -> Records {
    match query {
        Query::Naptr(_) => Records::Naptr(Vec::new()),
        Query::Srv(_) => Records::Srv(Vec::new()),
        Query::Addresses(_) => Records::Addresses(Vec::new()),
    }
}

fn show(hop: &Hop) -> String {
    let name = hop.server_name.as_deref().unwrap_or("-");
    format!(
        "{} {} {} {name}",
        hop.transport.as_str(),
        hop.host,
        hop.port
    )
}

#[test]
fn an_address_needs_no_questions() {
    let (hops, asked) = locate(&place("192.0.2.1", None), &[]);
    assert_eq!(hops, ["UDP 192.0.2.1 5060 -"]);
    let (hops, _) = locate(&place("192.0.2.1", Some(Transport::Tls)), &[]);
    assert_eq!(hops, ["TLS 192.0.2.1 5061 -"]);
    assert!(asked.is_empty());
}

#[test]
fn a_port_means_addresses_alone() {
    let zone = [(
        Query::Addresses("pbx.example".into()),
        addresses(&["192.0.2.1", "2001:db8::1"]),
    )];
    let (hops, asked) = locate(&place("pbx.example:5070", None), &zone);
    assert_eq!(hops, ["UDP 192.0.2.1 5070 -", "UDP [2001:db8::1] 5070 -"]);
    assert_eq!(asked.len(), 1);
}

#[test]
fn naptr_chooses_transports_in_its_order() {
    let zone = [
        (
            Query::Naptr("example".into()),
            naptr(&[
                (20, "SIP+D2U", "_sip._udp.example"),
                (10, "sips+d2t", "_sips._tcp.example"),
                (5, "SIP+D2S", "_sip._sctp.example"),
            ]),
        ),
        (
            Query::Srv("_sips._tcp.example".into()),
            srv(&[(2, 5071, "b.example"), (1, 5061, "a.example")]),
        ),
        (
            Query::Srv("_sip._udp.example".into()),
            srv(&[(1, 5060, "a.example")]),
        ),
        (
            Query::Addresses("a.example".into()),
            addresses(&["192.0.2.1"]),
        ),
        (
            Query::Addresses("b.example".into()),
            addresses(&["192.0.2.2"]),
        ),
    ];
    let (hops, _) = locate(&place("example", None), &zone);
    // The certificate must bear the domain, not what DNS led to (RFC 5922).
    assert_eq!(
        hops,
        [
            "TLS 192.0.2.1 5061 example",
            "TLS 192.0.2.2 5071 example",
            "UDP 192.0.2.1 5060 -"
        ]
    );
}

#[test]
fn without_naptr_every_transport_is_asked_for() {
    let zone = [
        (
            Query::Srv("_sip._tcp.example".into()),
            srv(&[(1, 5080, "a.example")]),
        ),
        (
            Query::Addresses("a.example".into()),
            addresses(&["192.0.2.1"]),
        ),
    ];
    let (hops, asked) = locate(&place("example", None), &zone);
    assert_eq!(hops, ["TCP 192.0.2.1 5080 -"]);
    assert_eq!(asked.len(), 5, "{asked:?}");
}

#[test]
fn without_services_the_domain_itself_is_the_host() {
    let zone = [(
        Query::Addresses("example".into()),
        addresses(&["192.0.2.9"]),
    )];
    let (hops, _) = locate(&place("example", None), &zone);
    assert_eq!(hops, ["UDP 192.0.2.9 5060 -"]);
    let (hops, asked) = locate(&place("example", Some(Transport::Tls)), &zone);
    assert_eq!(hops, ["TLS 192.0.2.9 5061 example"]);
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn websocket_is_found_by_naptr_or_at_the_port_of_the_web() {
    let zone = [
        (
            Query::Naptr("example".into()),
            naptr(&[
                (10, "SIP+D2T", "_sip._tcp.example"),
                (20, "SIPS+D2W", "_wss.example"),
            ]),
        ),
        (
            Query::Srv("_wss.example".into()),
            srv(&[(1, 8443, "a.example")]),
        ),
        (
            Query::Addresses("a.example".into()),
            addresses(&["192.0.2.1"]),
        ),
        (
            Query::Addresses("example".into()),
            addresses(&["192.0.2.9"]),
        ),
    ];
    let (hops, _) = locate(&place("example", Some(Transport::Wss)), &zone);
    assert_eq!(hops, ["WSS 192.0.2.1 8443 example"]);
    let (hops, _) = locate(&place("example", Some(Transport::Ws)), &zone);
    assert_eq!(hops, ["WS 192.0.2.9 80 example"]);
    let (hops, _) = locate(&place("192.0.2.7", Some(Transport::Wss)), &zone);
    assert_eq!(hops, ["WSS 192.0.2.7 443 -"]);
}

#[test]
fn a_domain_does_not_decide_how_much_is_asked_for_it() {
    let names = |prefix: &str| -> Vec<String> {
        let name = |at| format!("{prefix}{at}.example.com");
        (0..30).map(name).collect()
    };
    let (services, hosts) = (names("s"), names("h"));
    let many = naptr(
        &services
            .iter()
            .map(|name| (1, "SIP+D2U", name.as_str()))
            .collect::<Vec<_>>(),
    );
    let targets = srv(&hosts
        .iter()
        .map(|name| (1, 5060, name.as_str()))
        .collect::<Vec<_>>());
    let mut zone = vec![(Query::Naptr("example.com".into()), many)];
    zone.extend(
        services
            .iter()
            .map(|name| (Query::Srv(name.as_str().into()), targets.clone())),
    );
    let found = addresses(&["192.0.2.1", "192.0.2.2"]);
    zone.extend(
        hosts
            .iter()
            .map(|name| (Query::Addresses(name.as_str().into()), found.clone())),
    );
    let (hops, asked) = locate(&place("example.com", None), &zone);
    assert_eq!((hops.len(), asked.len()), (64, 1 + 8 + 16));
}

#[test]
fn a_service_that_is_declared_absent_is_not_looked_for_elsewhere() {
    let zone = [
        (Query::Srv("_sip._udp.example".into()), srv(&[(1, 0, "")])),
        (
            Query::Addresses("example".into()),
            addresses(&["192.0.2.9"]),
        ),
    ];
    let (hops, _) = locate(&place("example", Some(Transport::Udp)), &zone);
    assert!(hops.is_empty());
}

#[test]
fn who_failed_comes_last_until_its_penalty_is_over() {
    let (mut dns, mut mint, now) = (Dns::default(), Mint::new([3; 16]), now());
    let place = place("pbx.example:5060", None);
    dns.handle_answer(
        Query::Addresses("pbx.example".into()),
        Answer::Found(addresses(&["192.0.2.1", "192.0.2.2"]), LIFE),
        now,
    );
    let mut first = |dns: &mut Dns, at| match dns.locate(Whose::All, &place, &mut mint, at) {
        Located::Hops(hops) => hops[0].clone(),
        Located::Wait => panic!(),
    };
    let bad = first(&mut dns, now);
    dns.penalise(Whose::All, &bad, PENALTY, now);
    assert_ne!(first(&mut dns, now), bad);
    assert_eq!(first(&mut dns, now + PENALTY), bad);
    dns.penalise(Whose::All, &bad, PENALTY, now);
    dns.pardon(Whose::All, &bad);
    assert_eq!(first(&mut dns, now), bad);
}

#[test]
fn what_was_known_holds_until_somebody_answers_again() {
    let (mut dns, mut mint, now) = (Dns::default(), Mint::new([3; 16]), now());
    let place = place("pbx.example:5060", None);
    let query = Query::Addresses("pbx.example".into());
    let found = Answer::Found(addresses(&["192.0.2.1"]), LIFE);
    dns.handle_answer(query.clone(), found, now);
    let later = now + 2 * LIFE;
    assert!(matches!(
        dns.locate(Whose::All, &place, &mut mint, later),
        Located::Hops(_)
    ));
    assert_eq!(dns.poll_query(), Some(query.clone()));
    // Asked once, not for every request.
    assert!(matches!(
        dns.locate(Whose::All, &place, &mut mint, later),
        Located::Hops(_)
    ));
    assert_eq!(dns.poll_query(), None);
    dns.handle_answer(query.clone(), Answer::Failed, later);
    let Located::Hops(hops) = dns.locate(Whose::All, &place, &mut mint, later) else {
        panic!()
    };
    assert_eq!(hops.len(), 1);
    assert_eq!(dns.poll_query(), None);
    let _ = dns.locate(Whose::All, &place, &mut mint, later + AFTER_FAILURE);
    assert_eq!(dns.poll_query(), Some(query));
}

#[test]
fn an_unknown_name_is_nowhere_and_not_asked_for_each_time() {
    let (mut dns, mut mint, now) = (Dns::default(), Mint::new([3; 16]), now());
    let place = place("pbx.example:5060", None);
    assert_eq!(
        dns.locate(Whose::All, &place, &mut mint, now),
        Located::Wait
    );
    let query = dns.poll_query().unwrap();
    dns.handle_answer(query, Answer::Failed, now);
    let nowhere = Located::Hops(Vec::new());
    assert_eq!(dns.locate(Whose::All, &place, &mut mint, now), nowhere);
    assert_eq!(dns.poll_query(), None);
}

#[test]
fn the_cache_is_bounded() {
    let (mut dns, now) = (Dns::default(), now());
    for at in 0..5_000 {
        let query = Query::Addresses(format!("{at}.example").into());
        let found = Answer::Found(addresses(&["192.0.2.1"]), LIFE);
        dns.handle_answer(query, found, now);
    }
    assert!(dns.known.len() <= MAX_ENTRIES);
}
