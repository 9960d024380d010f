//! The XMPP side's readers: the stream, and what stanzas mean.

use minidom::Element;
use tandem_component::message::translate;
use tandem_component::refusal;
use tandem_component::stanza::Frame;
use tandem_component::stream::{Input, Reader};
use tandem_component::xml;
use tandem_shared::address::Mapping;
use tandem_shared::message::{Message, MessageId, Ordinal};

/// What the server of the targets says first.
pub const OPENING: &str = "<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' from='sip.example.com' id='1'>";

/// The gateway of all targets.
pub fn mapping() -> Mapping {
    let mapping = Mapping {
        domain: "sip.example.com".to_owned(),
        user_domains: vec!["example.com".to_owned(), "bücher.example".to_owned()],
    };
    mapping.normalised().expect("the domains are valid")
}

/// A stream means the same however it is cut, and what it holds of our namespace can be written
/// again. The first byte says how it is cut.
pub fn stream(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let (whole, whole_broken) = read(bytes, usize::MAX);
    let (cut, cut_broken) = read(bytes, usize::from(cut).max(1));
    assert_eq!(whole, cut);
    assert_eq!(whole_broken, cut_broken);
    for input in whole {
        if let Input::Stanza(stanza) | Input::Skipped(stanza, _) = input
            && stanza.has_ns(xml::COMPONENT)
        {
            assert_eq!(rewritten(&stanza), *stanza);
        }
    }
}

/// Stanzas (`<`) translate to messages that translate back to stanzas of our own domain; an error
/// stanza always has a meaning that can be written as one.
pub fn stanza(data: &[u8]) {
    let mapping = mapping();
    for stanza in stanzas(data) {
        let Some(frame) = Frame::read(&stanza) else {
            continue;
        };
        let refusal = refusal::from_xmpp(&stanza, &frame.from, &mapping);
        let answer = frame.refuse(&refusal::to_xmpp(&refusal, &mapping));
        assert_eq!(rewritten(&answer), answer);
        let Ok(Some(content)) = translate::from_xmpp(&frame, &stanza, &mapping) else {
            continue;
        };
        assert!(!content.body.trim().is_empty());
        // The contact writes the same back to the user.
        let reply = Message {
            id: MessageId("m".to_owned()),
            from: content.to,
            to: content.from,
            body: content.body,
            subject: content.subject,
            lang: content.lang,
            thread: content.thread,
            wire_id: frame.id.clone(),
            replaces: None,
            sent: content.sent,
            hops: Message::HOPS,
            ordinal: Ordinal::default(),
        };
        if let Ok(back) = translate::to_xmpp(&reply, "m", &mapping) {
            check_ours(&back);
            assert_eq!(rewritten(&back).attr("to"), back.attr("to"));
        }
    }
}

/// Every stanza in `data`, read as the component would read it.
pub fn stanzas(data: &[u8]) -> Vec<Element> {
    let mut reader = Reader::new(64 * 1024);
    let broken = reader.read(OPENING.as_bytes()).is_err() || reader.read(data).is_err();
    let stanza = |input| match input {
        Input::Stanza(stanza) => Some(*stanza),
        Input::Opened { .. } | Input::Skipped(..) | Input::Closed => None,
    };
    // What came before the stream broke was handed over already.
    let _ = broken;
    std::iter::from_fn(|| reader.next_input())
        .filter_map(stanza)
        .collect()
}

/// A stanza of ours comes from our domain, goes to somebody and is well-formed.
pub fn check_ours(stanza: &Element) {
    let jid = |name| stanza.attr(name).and_then(|text| jid::Jid::new(text).ok());
    let from = jid("from").expect("a sender");
    assert_eq!(from.domain().as_str(), "sip.example.com");
    assert!(jid("to").is_some());
    let read = rewritten(stanza);
    for name in ["from", "to", "id", "type"] {
        assert_eq!(read.attr(name), stanza.attr(name));
    }
    let names = |element: &Element| -> Vec<String> {
        element
            .children()
            .map(|child| child.name().to_owned())
            .collect()
    };
    assert_eq!(names(&read), names(stanza));
}

/// `stanza` as a server reads what is written of it.
pub fn rewritten(stanza: &Element) -> Element {
    let mut bytes = Vec::new();
    stanza
        .write_to(&mut bytes)
        .expect("every stanza can be written");
    let mut reader = Reader::new(usize::MAX);
    reader
        .read(OPENING.as_bytes())
        .expect("the opening is well-formed");
    reader.read(&bytes).expect("what is written is well-formed");
    let _opened = reader.next_input();
    match (reader.next_input(), reader.next_input()) {
        (Some(Input::Stanza(read)), None) => *read,
        other => panic!("one stanza was written, not {other:?}"),
    }
}

/// All inputs of a stream cut into `chunk` bytes, and whether it broke.
fn read(bytes: &[u8], chunk: usize) -> (Vec<Input>, bool) {
    let mut reader = Reader::new(4096);
    let broken = bytes.chunks(chunk).any(|chunk| reader.read(chunk).is_err());
    (std::iter::from_fn(|| reader.next_input()).collect(), broken)
}
