use std::sync::Arc;
use std::time::Duration;

use crate::admin::Ask;
use crate::core::bench::{Bench, hop};
use crate::core::heard::heard;
use crate::settings::tests::settings;
use crate::sip::digest::Credential;
use crate::sip::{Method, Request, Response, Status};
use crate::trunk::tests::trunk;
use crate::trunk::{Register, Registered, Trunk, Trunks};

mod route;

const CHALLENGE: &str = "Digest realm=\"provider\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256";

pub(super) fn account() -> Trunk {
    Trunk {
        register: Some(Register {
            user: "4711".into(),
            expires: 3600,
            outbound: true,
            flows: 1,
        }),
        credentials: Some(Credential {
            user: "4711".into(),
            password: "secret".into(),
            realm: None,
        }),
        inbound: Vec::new(),
        ..trunk("provider", &["+*"], Some("192.0.2.1"))
    }
}

pub(super) fn begin(trunks: Vec<Trunk>) -> Bench {
    let mut settings = settings();
    settings.trunks = Arc::new(Trunks::new(trunks));
    let gate = settings.trunks.gate();
    settings.endpoint.admission =
        crate::sip::endpoint::Admission::new(move |source| gate.admits(source));
    let mut bench = Bench::with(settings);
    let now = bench.now;
    bench.core.begin(now);
    bench.pass(0);
    bench
}

pub(super) fn state(bench: &Bench) -> Registered {
    let (id, _) = bench.core.trunks().iter().next().unwrap();
    let state = bench.core.states().get(id);
    state.map_or(Registered::No, |state| state.registered().clone())
}

/// Grants `request`, for so many seconds.
fn grant(bench: &mut Bench, request: &Request, seconds: u32) {
    let contact = request.headers.get("Contact").unwrap();
    let response = Response::to(request, Status::OK)
        .with("Contact", "<sip:somebody@192.0.2.9>;expires=1")
        .with("Contact", &format!("{contact};expires={seconds}"));
    let mut bytes = Vec::new();
    response.print(&mut bytes);
    bench.packet("192.0.2.1:5060", &bytes);
}

/// The request that leaves within so many seconds.
pub(super) fn wait_request(bench: &mut Bench, seconds: u64) -> Request {
    wait_sent(bench, seconds).0
}

fn wait_sent(bench: &mut Bench, seconds: u64) -> (Request, crate::sip::hop::Transmit) {
    for _ in 0..seconds {
        bench.pass(1);
        if let Some(found) = bench.requests().pop() {
            return found;
        }
    }
    panic!("nothing was sent");
}

#[test]
fn a_register_says_who_and_where_we_are() {
    let mut bench = begin(vec![account()]);
    let (register, transmit) = bench.request();
    assert_eq!(register.method, Method::Register);
    assert_eq!(hop(&transmit), "UDP 192.0.2.1:5060");
    assert_eq!(register.uri.to_string(), "sip:192.0.2.1");
    let header = |name: &str| register.headers.get(name).unwrap().to_owned();
    assert!(header("To") == "<sip:4711@192.0.2.1>" && header("From").starts_with(&header("To")));
    let contact = header("Contact");
    assert!(contact.starts_with("<sip:tandem-") && contact.contains("@198.51.100.1:5060>"));
    assert!(contact.contains("reg-id"), "{contact}");
    assert!(contact.contains(";+sip.instance=\"<urn:uuid:") && contact.contains(";reg-id=1"));
    assert_eq!(header("Expires"), "3600");
    assert_eq!(header("Supported"), "path, outbound");
}

#[test]
fn a_challenge_is_answered_and_the_binding_refreshed_in_time() {
    let mut bench = begin(vec![account()]);
    let (first, _) = bench.request();
    bench.answer(&first, 401, Some(("WWW-Authenticate", CHALLENGE)));
    let (second, _) = bench.request();
    assert!(
        second
            .headers
            .get("Authorization")
            .unwrap()
            .contains("nc=00000001")
    );
    assert_eq!(first.call_id(), second.call_id());
    assert_eq!(
        second.cseq().unwrap().number,
        first.cseq().unwrap().number + 1
    );
    grant(&mut bench, &second, 600);
    assert!(matches!(state(&bench), Registered::Until { at, .. }
        if at == bench.now.instant + Duration::from_secs(600)));
    bench.pass(299);
    assert!(bench.requests().is_empty());
    let third = wait_request(&mut bench, 182);
    // The known nonce saves a round.
    assert!(
        third
            .headers
            .get("Authorization")
            .unwrap()
            .contains("nc=00000002")
    );
    let stale = format!("{CHALLENGE}, stale=true").replace("n1", "n2");
    bench.answer(&third, 401, Some(("WWW-Authenticate", &stale)));
    let (fourth, _) = bench.request();
    assert!(
        fourth
            .headers
            .get("Authorization")
            .unwrap()
            .contains("\"n2\"")
    );
    grant(&mut bench, &fourth, 600);
    assert!(matches!(state(&bench), Registered::Until { .. }));
}

#[test]
fn a_wrong_password_is_not_tried_again_soon() {
    let mut bench = begin(vec![account()]);
    let (first, _) = bench.request();
    bench.answer(&first, 401, Some(("WWW-Authenticate", CHALLENGE)));
    let (second, _) = bench.request();
    bench.answer(&second, 401, Some(("WWW-Authenticate", CHALLENGE)));
    let Registered::Failed { why } = state(&bench) else {
        panic!();
    };
    assert!(why.contains("401") && why.contains("rejected"), "{why}");
    bench.pass(1799);
    assert!(bench.requests().is_empty());
    bench.pass(1);
    assert_eq!(bench.requests().len(), 1);
}

#[test]
fn an_admin_hears_what_became_of_a_registration_and_when_it_is_tried_next() {
    let name = || "provider".to_owned();
    let ask = |bench: &mut Bench, ask: Ask| bench.core.ask(&ask, bench.now);
    let force = || Ask::Register { trunk: name() };
    let look = || Ask::Registration { trunk: name() };
    let mut bench = begin(vec![account()]);
    let (first, _) = bench.request();
    assert!(ask(&mut bench, look()).pending);
    let said = heard(|| bench.answer(&first, 403, None));
    let mut said = said.iter();
    assert!(said.any(|line| line.starts_with("ERROR") && line.contains("check username")));
    let answer = ask(&mut bench, look());
    assert_eq!(
        (answer.ok, answer.pending, answer.text.as_str()),
        (
            false,
            false,
            "provider: NOT REGISTERED (403 Forbidden), next try in 1800 s\n"
        )
    );
    bench.pass(100);
    let text = bench.core.ask(&Ask::Trunks, bench.now).text;
    assert!(
        text.contains("NOT REGISTERED (403 Forbidden), next try in 1700 s, 0 calls"),
        "{text}"
    );
    // What was said before is no answer to what is asked now.
    assert!(ask(&mut bench, force()).ok);
    bench.pass(0);
    let (second, _) = bench.request();
    assert!(ask(&mut bench, look()).pending);
    grant(&mut bench, &second, 600);
    let answer = ask(&mut bench, look());
    assert!(answer.ok && !answer.pending, "{answer:?}");
    let wanted = "provider: registered for 600 s more at 192.0.2.1 port 5060 over udp, until 2010-11-13 23:4";
    assert!(answer.text.starts_with(wanted), "{}", answer.text);
}

#[test]
fn what_fails_is_tried_again_each_time_later() {
    let mut bench = begin(vec![account()]);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let (register, _) = bench.request();
        bench.answer(&register, 500, None);
        let mut waited = 0;
        while !bench
            .actions
            .iter()
            .any(|action| matches!(action, crate::action::Action::Transmit(_)))
        {
            bench.pass(1);
            waited += 1;
        }
        pauses.push(waited);
    }
    for (at, pause) in pauses.iter().enumerate() {
        let most = (30_u64 << at).min(1800);
        assert!((most / 2..=most + 1).contains(pause), "{pauses:?}");
    }
}

#[test]
fn silence_or_503_means_the_next_server() {
    let second = Trunk {
        next_hop: Some(crate::trunk::NextHop {
            host: crate::sip::uri::Host::parse("provider.example").unwrap(),
            port: Some(5060),
        }),
        ..account()
    };
    let mut bench = begin(vec![second]);
    let query = crate::dns::Query::Addresses("provider.example".into());
    let found = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|ip| ip.parse().unwrap());
    let found = crate::dns::Records::Addresses(found.to_vec());
    let answer = crate::dns::Answer::Found(found, Duration::from_secs(60));
    bench.core.handle_dns(query, answer, bench.now);
    bench.pass(0);
    let (first, transmit) = bench.request();
    assert_eq!(hop(&transmit), "UDP 192.0.2.1:5060");
    bench.answer(&first, 503, None);
    let (_, silent) = bench.request();
    assert_eq!(hop(&silent), "UDP 192.0.2.2:5060");
    bench.pass(3);
    let (third, transmit) = bench
        .requests()
        .into_iter()
        .find(|(_, other)| other.bytes != silent.bytes)
        .unwrap();
    assert_eq!(hop(&transmit), "UDP 192.0.2.3:5060");
    grant(&mut bench, &third, 600);
    // It stays with the server that took it.
    bench.pass(299);
    let _ = bench.requests();
    let last = wait_sent(&mut bench, 182);
    assert_eq!(hop(&last.1), "UDP 192.0.2.3:5060");
}

#[test]
fn what_is_too_short_or_without_flows_is_asked_for_otherwise() {
    let mut bench = begin(vec![account()]);
    let (first, _) = bench.request();
    bench.answer(&first, 423, Some(("Min-Expires", "7200")));
    let (second, _) = bench.request();
    assert_eq!(second.headers.get("Expires"), Some("7200"));
    bench.answer(&second, 439, None);
    let (third, _) = bench.request();
    assert_eq!(third.headers.get("Supported"), Some("path"));
    assert!(!third.headers.get("Contact").unwrap().contains("reg-id"));
    // A registrar that asks for ever more is left alone.
    bench.answer(&third, 423, Some(("Min-Expires", "99999999")));
    assert!(matches!(state(&bench), Registered::Failed { .. }));
}

#[test]
fn a_registrar_that_wants_ever_more_is_asked_once_more_and_then_later() {
    let mut bench = begin(vec![account()]);
    let (first, _) = bench.request();
    bench.answer(&first, 423, Some(("Min-Expires", "3601")));
    let (second, _) = bench.request();
    bench.answer(&second, 423, Some(("Min-Expires", "3602")));
    assert!(bench.requests().is_empty());
    assert!(matches!(state(&bench), Registered::Failed { .. }));
    // The next try may ask for more again.
    let third = wait_request(&mut bench, 31);
    bench.answer(&third, 423, Some(("Min-Expires", "3603")));
    let (fourth, _) = bench.request();
    assert_eq!(fourth.headers.get("Expires"), Some("3603"));
}

#[test]
fn what_is_granted_is_believed_within_reason() {
    for (granted, life) in [(0, None), (1, Some(1)), (u32::MAX, Some(604_800))] {
        let mut bench = begin(vec![account()]);
        let (request, _) = bench.request();
        grant(&mut bench, &request, granted);
        let until = match state(&bench) {
            Registered::Until { at, .. } => Some(at - bench.now.instant),
            Registered::No | Registered::Trying | Registered::Failed { .. } => None,
        };
        assert_eq!(until, life.map(Duration::from_secs), "{granted}");
        bench.pass(0);
        assert!(bench.requests().is_empty(), "{granted}");
    }
}

#[test]
fn calls_come_in_by_the_contact_and_mean_the_number_in_to() {
    let mut bench = begin(vec![account()]);
    let (register, _) = bench.request();
    let text = |uri: &str| {
        format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKm1\r\nMax-Forwards: 70\r\n\
             From: <sip:+15559@192.0.2.1>;tag=x\r\nTo: <sip:+15550001@192.0.2.1>\r\nCall-ID: m1\r\n\
             CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
        )
    };
    let contact = register.headers.get("Contact").unwrap();
    let uri = contact.split(['<', '>']).nth(1).unwrap().to_owned();
    // Nobody has let it in yet.
    bench.packet("192.0.2.1:5060", text(&uri).as_bytes());
    assert!(bench.messages().is_empty() && bench.responses().is_empty());
    grant(&mut bench, &register, 600);
    bench.packet("192.0.2.1:5060", text(&uri).as_bytes());
    let messages = bench.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].to.user, "juliet");
    bench.packet("192.0.2.77:5060", text(&uri).as_bytes());
    assert!(bench.messages().is_empty());
}

/// Where both are there, P-Called-Party-ID says what was called (RFC 7315 §4.2): To may be anything by then.
#[test]
fn the_provider_says_which_number_was_called() {
    let mut bench = begin(vec![account()]);
    let (register, _) = bench.request();
    let contact = register.headers.get("Contact").unwrap();
    let contact = contact.split(['<', '>']).nth(1).unwrap().to_owned();
    grant(&mut bench, &register, 600);
    let mut number = 0;
    let mut reached = |uri: &str, to: &str, called: &str| {
        number += 1;
        let text = format!(
            "MESSAGE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKm{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:+15559@192.0.2.1>;tag=x\r\nTo: {to}\r\n{called}Call-ID: m{number}\r\n\
             CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
        );
        bench.packet("192.0.2.1:5060", text.as_bytes());
        let users = bench.messages().into_iter().map(|it| it.to.user);
        (users.collect::<String>(), bench.codes())
    };
    let juliet = || ("juliet".to_owned(), Vec::new());
    let nobody = || (String::new(), vec![404]);
    let called = "P-Called-Party-ID: \"Juliet\" <sip:+15550001@192.0.2.1;user=phone>\r\n";
    for to in ["<sip:+15550009@192.0.2.1>", "<sip:4711@192.0.2.1>"] {
        assert_eq!(reached(&contact, to, called), juliet(), "{to}");
        assert_eq!(reached(&contact, to, ""), nobody(), "{to}");
    }
    // It counts against To, and never against who is named by the Request-URI.
    let other = called.replace("+15550001", "+15550009");
    let to = "<sip:+15550001@192.0.2.1>";
    assert_eq!(reached(&contact, to, &other), nobody());
    assert_eq!(reached("sip:+15550001@192.0.2.1", to, &other), juliet());
    // What cannot be read says nothing.
    assert_eq!(reached(&contact, to, "P-Called-Party-ID: <<\r\n"), juliet());
}

#[test]
fn the_end_takes_back_our_own_binding() {
    let mut bench = begin(vec![account()]);
    let (register, _) = bench.request();
    grant(&mut bench, &register, 600);
    let now = bench.now;
    bench.core.close(now);
    bench.pass(0);
    let (last, _) = bench.request();
    assert_eq!(last.headers.get("Expires"), Some("0"));
    assert!(!last.headers.get("Contact").unwrap().contains('*'));
    assert_eq!(bench.core.in_flight(), 1);
    bench.answer(&last, 200, None);
    assert_eq!(bench.core.in_flight(), 0);
}
