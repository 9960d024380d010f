use super::*;
use tandem_shared::message::{MessageId, Ordinal};

fn mapping() -> Mapping {
    Mapping {
        domain: "sip.example.com".into(),
        user_domains: Vec::new(),
    }
    .normalised()
    .unwrap()
}

fn read(attributes: &str, inside: &str) -> Result<Option<Content>, Refusal> {
    let text = format!(
        "<message xmlns='jabber:component:accept' from='juliet@example.com/balcony' \
         to='+15551234567@sip.example.com' {attributes}>{inside}</message>"
    );
    let stanza: Element = text.parse().unwrap();
    from_xmpp(&Frame::read(&stanza).unwrap(), &stanza, &mapping())
}

#[test]
fn everything_that_has_a_place_in_sip_is_read() {
    let content = read(
        "type='chat' id='1' xml:lang='en'",
        "<body>Hi</body><subject> A\nB </subject><thread>t1</thread>\
         <delay xmlns='urn:xmpp:delay' stamp='2026-08-01T12:00:00Z'/>",
    );
    let content = content.unwrap().unwrap();
    assert_eq!(content.to.user, "+15551234567");
    assert_eq!(content.from.device.as_deref(), Some("balcony"));
    assert_eq!(content.subject.as_deref(), Some("A B"));
    assert_eq!(
        (content.lang.as_deref(), content.thread.as_deref()),
        (Some("en"), Some("t1"))
    );
    assert_eq!(content.sent, Some(1_785_585_600_000));
    assert!(content.store);
}

#[test]
fn no_store_is_honoured() {
    let content = read("", "<body>Hi</body><no-store xmlns='urn:xmpp:hints'/>");
    assert!(!content.unwrap().unwrap().store);
}

#[test]
fn group_chat_is_refused_and_headlines_pass() {
    assert!(read("type='groupchat'", "<body>Hi</body>").is_err());
    assert!(
        read("type='headline'", "<body>Hi</body>")
            .unwrap()
            .is_some()
    );
}

/// What takes the place of an earlier message names it.
#[test]
fn a_text_that_grows_replaces_its_beginning() {
    let grown = Message {
        replaces: Some(MessageId("first".into())),
        ..message()
    };
    let stanza = to_xmpp(&grown, "m", &mapping()).unwrap();
    let replace = stanza.get_child("replace", xml::CORRECT).unwrap();
    assert_eq!(replace.attr("id"), Some("first"));
    let plain = to_xmpp(&message(), "m", &mapping()).unwrap();
    assert!(!plain.has_child("replace", xml::CORRECT));
}

fn message() -> Message {
    Message {
        id: MessageId("m".into()),
        from: Address::new("romeo", "example.net").unwrap(),
        to: Address::new("juliet", "example.com").unwrap(),
        body: "<b> & \u{1}".into(),
        subject: Some("x\ny".into()),
        lang: Some("de".into()),
        thread: Some("t".into()),
        wire_id: None,
        replaces: None,
        sent: Some(1_785_585_600_000),
        hops: 70,
        ordinal: Ordinal::default(),
    }
}

#[test]
fn what_is_written_reads_back_as_meant() {
    let mut bytes = Vec::new();
    to_xmpp(&message(), "i'd", &mapping())
        .unwrap()
        .write_to(&mut bytes)
        .unwrap();
    let stanza: Element = String::from_utf8(bytes).unwrap().parse().unwrap();
    assert_eq!(
        stanza.attr("from"),
        Some(r"romeo\40example.net@sip.example.com")
    );
    assert_eq!(stanza.attr("to"), Some("juliet@example.com"));
    assert_eq!(stanza.attr("id"), Some("i'd"));
    assert_eq!(child_text(&stanza, "body").unwrap(), "<b> & \u{fffd}");
    assert_eq!(child_text(&stanza, "subject").unwrap(), "x y");
    let delay = stanza.get_child("delay", xml::DELAY).unwrap();
    assert_eq!(delay.attr("stamp"), Some("2026-08-01T12:00:00Z"));
    assert_eq!(delay.attr("from"), Some("sip.example.com"));
    assert!(stanza.has_child("store", xml::HINTS));
}

/// Specs T5: whoever a SIP party says it is, the stanza comes from our own domain.
#[test]
fn the_sender_is_always_in_our_domain() {
    for user in ["ceo@example.com", "a/b", "x' to='evil", "<evil/>"] {
        let mut message = message();
        message.from.user = user.into();
        let stanza = to_xmpp(&message, "1", &mapping()).unwrap();
        let from = Jid::new(stanza.attr("from").unwrap()).unwrap();
        assert_eq!(from.domain().as_str(), "sip.example.com");
    }
}

#[test]
fn recipients_outside_the_served_domains_are_refused() {
    let mut message = message();
    message.to.host = "example.org".into();
    assert!(to_xmpp(&message, "1", &mapping()).is_err());
}
