//! The XMPP half of `shared/vectors/message`: each folder is one message as a stanza, as the event
//! on the bus and as a request. The b2bua's tests hold the other half to the same events.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::path::{Path, PathBuf};

use minidom::{Element, Node};
use tandem_component::message::translate;
use tandem_component::stanza::Frame;
use tandem_shared::address::Mapping;
use tandem_shared::message::{Message, MessageId, Ordinal};

#[test]
fn every_stanza_to_sip_is_its_event() {
    for folder in vectors("to-sip-") {
        let stanza = stanza(&folder);
        let frame = Frame::read(&stanza).unwrap();
        let content = translate::from_xmpp(&frame, &stanza, &mapping())
            .unwrap()
            .unwrap();
        let message = Message {
            id: MessageId("m1".to_owned()),
            from: content.from,
            to: content.to,
            body: content.body,
            subject: content.subject,
            lang: content.lang,
            thread: content.thread,
            wire_id: frame.id,
            replaces: None,
            sent: content.sent,
            hops: Message::HOPS,
            ordinal: Ordinal {
                epoch: 7,
                number: 1,
            },
        };
        assert_eq!(message, event(&folder), "{}", folder.display());
    }
}

#[test]
fn every_event_from_sip_is_its_stanza() {
    for folder in vectors("to-xmpp-") {
        let message = event(&folder);
        let written = translate::to_xmpp(&message, &message.id.0, &mapping()).unwrap();
        assert_eq!(written, stanza(&folder), "{}", folder.display());
    }
}

fn mapping() -> Mapping {
    let mapping = Mapping {
        domain: "sip.example.com".to_owned(),
        user_domains: vec!["example.com".to_owned(), "bücher.example".to_owned()],
    };
    mapping.normalised().unwrap()
}

/// The folders whose name begins with `direction`.
fn vectors(direction: &str) -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors/message");
    let entries = std::fs::read_dir(all).unwrap().map(|entry| entry.unwrap());
    let chosen = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(direction));
    let mut folders: Vec<PathBuf> = chosen.map(|entry| entry.path()).collect();
    folders.sort();
    assert!(folders.len() >= 6);
    folders
}

fn event(folder: &Path) -> Message {
    let text = std::fs::read_to_string(folder.join("event.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The stanza without the white space that lays it out.
fn stanza(folder: &Path) -> Element {
    let text = std::fs::read_to_string(folder.join("xmpp.xml")).unwrap();
    let mut laid_out: Element = text.parse().unwrap();
    for node in laid_out.take_nodes() {
        if let Node::Element(child) = node {
            laid_out.append_child(child);
        }
    }
    laid_out
}
