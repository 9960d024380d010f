use super::*;
use crate::settings::tests::settings;
use crate::sip::Method;
use crate::sip::uri::Uri;
use std::time::{Duration, UNIX_EPOCH};
use tandem_shared::refusal::Reason;

fn source() -> Source {
    let peer = ([192, 0, 2, 1], 5060).into();
    Source::of(crate::sip::Flow::Udp { socket: 0, peer })
}

const DATE: &str = "Sat, 13 Nov 2010 23:29:00 GMT";

fn now() -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    let instant = std::time::Instant::now();
    Now {
        instant,
        wall: UNIX_EPOCH + Duration::from_millis(1_289_690_940_000),
    }
}

fn request(uri: &str, from: &str) -> Request {
    let mut request = Request::new(Method::Message, Uri::parse(uri).unwrap());
    request.headers.push(Name::From, from);
    request.headers.push(Name::MaxForwards, "70");
    request.headers.push(Name::CallId, "call");
    request.body = bytes::Bytes::from_static(b"hello");
    request
}

fn read(request: &Request) -> Result<Translated, Reason> {
    let (settings, threads) = (settings(), Threads::default());
    from_sip(
        request,
        source(),
        Fingerprint(7),
        &settings,
        &threads,
        now(),
    )
    .map_err(|refusal| refusal.reason)
}

fn message(request: &Request) -> Message {
    match read(request).unwrap() {
        Translated::Message(message) => *message,
        Translated::Shared(_) | Translated::Nothing => panic!("no message, or several"),
    }
}

const ROMEO: &str = "\"R\" <sip:Romeo@pbx.example.net>;tag=1";
const JULIET: &str = "sip:juliet%40example.com@sip.example.com";

fn to(uri: &str) -> Result<String, Reason> {
    read(&request(uri, ROMEO)).map(|translated| match translated {
        Translated::Message(message) => {
            let device = message.to.device.map(|device| format!("/{device}"));
            format!(
                "{}@{}{}",
                message.to.user,
                message.to.host,
                device.unwrap_or_default()
            )
        }
        Translated::Shared(_) => "several".into(),
        Translated::Nothing => "nothing".into(),
    })
}

fn from(header: &str) -> Result<String, Reason> {
    read(&request(JULIET, header)).map(|translated| match translated {
        Translated::Message(message) => format!("{}@{}", message.from.user, message.from.host),
        Translated::Shared(_) => "several".into(),
        Translated::Nothing => "nothing".into(),
    })
}

#[test]
fn users_are_found_by_every_form_of_their_address() {
    for uri in [
        JULIET,
        "sip:juliet%40example.com@192.0.2.9:5060;transport=tcp",
        "sip:juliet@example.com",
        "im:juliet@example.com",
        "pres:juliet@example.com",
        "sip:+1-555-0001@192.0.2.9;user=phone",
        "sip:+15550001;phone-context=x@192.0.2.9;user=phone",
        "tel:+1-555-0001",
    ] {
        assert_eq!(to(uri), Ok("juliet@example.com".into()), "{uri}");
    }
    assert_eq!(
        to("sip:juliet%40example.com@gw;gr=bal%20cony"),
        Ok("juliet@example.com/bal cony".into())
    );
}

#[test]
fn other_addresses_are_refused_as_the_tables_say() {
    for (uri, reason) in [
        ("sip:romeo@example.net", Reason::ItemNotFound),
        (
            "sip:romeo%40example.net@sip.example.com",
            Reason::ItemNotFound,
        ),
        ("sip:sip.example.com", Reason::ItemNotFound),
        ("tel:+15559999", Reason::ItemNotFound),
        ("sips:juliet@example.com", Reason::UnsupportedScheme),
        ("mailto:juliet@example.com", Reason::UnsupportedScheme),
        ("sip:911@sip.example.com", Reason::Emergency),
        ("tel:911;phone-context=+1", Reason::Emergency),
        ("urn:service:sos.fire", Reason::Emergency),
        ("sip:a%0d%0aRoute:@example.com", Reason::BadRequest),
        ("sip:a%00@example.com", Reason::BadRequest),
    ] {
        assert_eq!(to(uri), Err(reason), "{uri}");
    }
}

#[test]
fn senders_become_contacts_of_the_gateway() {
    for (header, contact) in [
        (ROMEO, "Romeo@pbx.example.net"),
        (
            "<sip:+1-555-777@192.0.2.1;user=phone>;tag=1",
            "+1555777@sip.example.com",
        ),
        ("<tel:+1-555-777>;tag=1", "+1555777@sip.example.com"),
        ("<sip:1001@pbx.example.net>;tag=1", "1001@pbx.example.net"),
        ("<sip:1001@192.0.2.1>;tag=1", "1001@sip.example.com"),
        (
            "<sip:anonymous@anonymous.invalid>;tag=1",
            "anonymous@sip.example.com",
        ),
        ("<sip:192.0.2.1>;tag=1", "anonymous@sip.example.com"),
        ("<mailto:x@y>;tag=1", "anonymous@sip.example.com"),
    ] {
        assert_eq!(from(header), Ok(contact.into()), "{header}");
    }
}

#[test]
fn nobody_speaks_as_a_user_of_ours() {
    for header in [
        "<sip:juliet@example.com>;tag=1",
        "<sip:juliet%40example.com@sip.example.com>;tag=1",
        "<sip:juliet@SIP.EXAMPLE.COM>;tag=1",
        "<sip:juliet@example.com.;gr=balcony>;tag=1",
    ] {
        assert_eq!(from(header), Err(Reason::Forbidden), "{header}");
    }
    let settings = settings();
    for header in [
        "<sip:juliet%40example.com@evil.example>;tag=1",
        "<sip:juliet%40example.com%2f@evil.example>;tag=1",
        "<sip:%22%3e@evil.example>;tag=1",
        "<sip:juliet%5c40example.com@evil.example>;tag=1",
    ] {
        let message = message(&request(JULIET, header));
        let jid = settings.mapping.contact_to_jid(&message.from).unwrap();
        assert_eq!(jid.domain().as_str(), "sip.example.com", "{header}");
        assert_ne!(
            settings.mapping.contact_from_jid(&jid).unwrap().host,
            "example.com",
            "{header}"
        );
    }
}

#[test]
fn an_asserted_identity_counts_only_where_it_is_trusted() {
    let mut claimed = request(JULIET, ROMEO);
    claimed
        .headers
        .push(Name::PAssertedIdentity, "<sip:+1555888@192.0.2.1>");
    assert_eq!(message(&claimed).from.user, "Romeo");
    let settings = settings();
    let mut trunk = settings.trunks.of(&claimed, source()).unwrap().1.clone();
    trunk.trust_identity = true;
    let trusted = party::sender(&claimed, Some(&trunk), &settings).unwrap();
    assert_eq!(trusted.user, "+1555888");
}

#[test]
fn dates_and_expiry() {
    let mut late = request(JULIET, ROMEO);
    late.headers
        .push(Name::Date, "Sat, 13 Nov 2010 23:28:00 GMT");
    assert_eq!(message(&late).sent, Some(1_289_690_880_000));
    late.headers.push(Name::Expires, "59");
    assert_eq!(read(&late), Ok(Translated::Nothing));
    let mut fresh = request(JULIET, ROMEO);
    fresh.headers.push(Name::Date, DATE);
    fresh.headers.push(Name::Expires, "99999999999999999");
    assert_eq!(message(&fresh).sent, None);
}

#[test]
fn hops_fall_and_only_our_own_threads_come_back() {
    let request = request(JULIET, ROMEO);
    assert_eq!(message(&request).hops, 69);
    assert_eq!(message(&request).thread, None);
    let mut threads = Threads::default();
    threads.sent("call", "the thread");
    let read = from_sip(
        &request,
        source(),
        Fingerprint(7),
        &settings(),
        &threads,
        now(),
    );
    assert!(
        matches!(read, Ok(Translated::Message(m)) if m.thread.as_deref() == Some("the thread"))
    );
}

#[test]
fn an_empty_body_is_nothing() {
    let mut empty = request(JULIET, ROMEO);
    empty.body = bytes::Bytes::new();
    assert_eq!(read(&empty), Ok(Translated::Nothing));
}
