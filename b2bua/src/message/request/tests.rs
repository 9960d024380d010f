use super::*;
use crate::settings::tests::settings;
use crate::sip::Message as Parsed;
use crate::sip::parse::{self, Framing};
use crate::target::Found;
use tandem_shared::address::{Address, uri};
use tandem_shared::message::{MessageId, Ordinal};

pub(crate) fn message(from: (&str, &str), to: (&str, &str), body: &str) -> Message {
    Message {
        id: MessageId("m".into()),
        from: Address::new(from.0, from.1).unwrap(),
        to: Address::new(to.0, to.1).unwrap(),
        body: body.into(),
        subject: None,
        lang: None,
        thread: None,
        wire_id: None,
        replaces: None,
        sent: None,
        hops: 70,
        ordinal: Ordinal {
            epoch: 1,
            number: 1,
        },
    }
}

const JULIET: (&str, &str) = ("juliet", "example.com");
const ROMEO: (&str, &str) = ("romeo", "pbx.example.net");
const KEY: [u8; 16] = [7; 16];

fn sent(message: &Message) -> Result<Request, Refusal> {
    let settings = settings();
    let own = settings.mapping.domain.as_str();
    let trunk = settings
        .trunks
        .get(settings.trunks.find(&message.to, own)?[0])
        .unwrap();
    let found = Found {
        trunks: Vec::new(),
        user: message.to.user.clone(),
        hidden: false,
        chosen: None,
        via: None,
        abroad: false,
        emergency: false,
    };
    let target = Target::new(&message.to, &found, trunk, &settings)?;
    let attempt = Attempt {
        text: &message.body,
        part: 0,
        round: 0,
    };
    compose(message, &target, trunk, attempt, &settings, &KEY)
}

fn read_back(request: &Request) -> Request {
    let mut bytes = Vec::new();
    let mut request = request.clone();
    request
        .headers
        .push_front(Name::Via, "SIP/2.0/UDP h;branch=z9hG4bKx");
    request.print(&mut bytes);
    match parse::parse(&bytes, Framing::Datagram).unwrap() {
        Parsed::Request(request) => request,
        Parsed::Response(_) => panic!("a response"),
    }
}

#[test]
fn a_message_becomes_a_request_without_device_in_from_and_to() {
    let mut message = message(JULIET, ROMEO, "Art thou not Romeo?");
    message.from.device = Some("balcony".into());
    message.to.device = Some("or;chard".into());
    message.lang = Some("en".into());
    message.subject = Some("Hi\r\nthere".into());
    message.sent = Some(1_289_690_940_000);
    let request = sent(&message).unwrap();
    assert_eq!(
        request.uri.to_string(),
        "sip:romeo@pbx.example.net;gr=or%3Bchard"
    );
    let get = |name| request.headers.get(name).unwrap();
    assert_eq!(get(Name::To), "<sip:romeo@pbx.example.net>");
    assert!(get(Name::From).starts_with("<sip:juliet%40example.com@sip.example.com>;tag="));
    assert_eq!(get(Name::ContentLanguage), "en");
    assert_eq!(get(Name::Subject), "Hi  there");
    assert_eq!(get(Name::Date), "Sat, 13 Nov 2010 23:29:00 GMT");
    assert_eq!(get(Name::MaxForwards), "70");
    assert_eq!(request.headers.get(Name::Contact), None);
    assert!(!request.call_id().contains("juliet") && !request.call_id().contains('.'));
}

#[test]
fn numbers_go_to_the_next_hop_from_the_users_own_number() {
    let request = sent(&message(JULIET, ("+15551234567", "sip.example.com"), "x")).unwrap();
    assert_eq!(
        request.uri.to_string(),
        "sip:+15551234567@192.0.2.1;user=phone"
    );
    assert!(
        request
            .headers
            .get(Name::From)
            .unwrap()
            .starts_with("<sip:+15550001@sip.example.com;user=phone>;tag=")
    );
    let nurse = sent(&message(
        ("nurse", "example.com"),
        ("+15551234567", "sip.example.com"),
        "x",
    ));
    assert_eq!(nurse.unwrap_err().reason, Reason::NotAllowed);
}

#[test]
fn the_same_message_is_the_same_request_and_the_next_is_another() {
    let mut one = message(JULIET, ROMEO, "x");
    let same = sent(&one).unwrap() == sent(&one).unwrap();
    assert!(same);
    let first = sent(&one).unwrap();
    one.ordinal.number = 2;
    let second = sent(&one).unwrap();
    assert_eq!(first.call_id(), second.call_id());
    assert_eq!(first.from().unwrap().tag(), second.from().unwrap().tag());
    let number = |request: &Request| request.cseq().unwrap().number;
    assert!(number(&first) + 3 < number(&second), "room for challenges");
    one.ordinal.number = u32::MAX;
    assert!(number(&sent(&one).unwrap()) < 1 << 31);
    one.ordinal.epoch = 2;
    assert_ne!(sent(&one).unwrap().call_id(), second.call_id());
}

#[test]
fn a_thread_is_the_call_id_where_it_can_be_and_tells_nothing() {
    let call_id = |thread: &str| {
        let mut message = message(JULIET, ROMEO, "x");
        message.thread = Some(thread.into());
        sent(&message).unwrap().call_id().to_owned()
    };
    assert_eq!(
        call_id("e0ffe42b28561960c6b12b94"),
        "e0ffe42b28561960c6b12b94"
    );
    assert_eq!(call_id("abcdefgh@x"), "abcdefgh@x");
    for odd in [
        "a thread",
        "short",
        "grüß-gott",
        "juliet-and-romeo",
        "a@b@c-d-e-f",
        "x\r\nRoute: y",
    ] {
        assert_ne!(call_id(odd), odd);
        assert_eq!(call_id(odd).len(), 26, "{odd}");
    }
}

#[test]
fn no_field_can_inject_a_header() {
    let evil = "x%0d%0aRoute: <sip:evil>\r\nRoute: <sip:evil>";
    let mut message = message(
        ("a%0d%0aRoute:", "example.com"),
        ("b;lr?Route=x,<c>", "pbx.example.net"),
        evil,
    );
    message.subject = Some(evil.into());
    message.lang = Some(evil.into());
    message.thread = Some(evil.into());
    message.to.device = Some(evil.replace(['\r', '\n'], "\u{2028}"));
    let request = read_back(&sent(&message).unwrap());
    assert_eq!(request.headers.count(Name::Route), 0);
    assert_eq!(request.headers.count(Name::ContentLanguage), 0);
    assert_eq!(&request.body[..], evil.as_bytes());
    let to = request.uri.as_sip().unwrap();
    assert_eq!(&*to.user().unwrap(), message.to.user.as_bytes());
    assert_eq!(
        uri::device_from_gr(&to.params.get("gr").unwrap()).ok(),
        message.to.device
    );
    let from = request.from().unwrap();
    let user = from.uri.as_sip().unwrap().user().unwrap().into_owned();
    assert_eq!(
        user,
        format!("{}@example.com", message.from.user).into_bytes()
    );
}

#[test]
fn what_is_called_small_is_small() {
    for (user, length) in [("juliet", 600), ("ü".repeat(40).as_str(), 100), ("j", 640)] {
        let mut message = message((user, "example.com"), ROMEO, &"x".repeat(length));
        message.thread = Some("t".repeat(64));
        if is_surely_small(&message, &message.body) {
            assert!(
                sent(&message).unwrap().wire_len() <= MAX_DATAGRAM,
                "{user} {length}"
            );
        }
    }
    assert!(is_surely_small(&message(JULIET, ROMEO, "hello"), "hello"));
}

#[test]
fn large_requests_take_a_stream_or_none() {
    let settings = settings();
    let own = "sip.example.com";
    let trunk = |host: &str| {
        let contact = Address::new("a", host).unwrap();
        let found = settings.trunks.find(&contact, own).unwrap();
        settings.trunks.get(found[0]).unwrap()
    };
    let pbx = trunk("pbx.example.net");
    assert_eq!(transport(pbx, Transport::Udp, 1300), Ok(Transport::Udp));
    assert_eq!(transport(pbx, Transport::Udp, 1301), Ok(Transport::Tcp));
    assert_eq!(
        transport(pbx, Transport::Udp, 8193).unwrap_err().reason,
        Reason::TooLarge
    );
    assert_eq!(
        transport(trunk("sms.example.net"), Transport::Udp, 1301)
            .unwrap_err()
            .reason,
        Reason::TooLarge
    );
}
