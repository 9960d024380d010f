//! Envelopes of version 1 decode for ever, and are written as they always were.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use tandem_shared::bus::Envelope;
use tandem_shared::event::{Control, Event};

fn vectors() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/bus/v1");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

#[test]
fn every_vector_decodes_and_encodes_to_the_same_json() {
    let vectors = vectors();
    assert!(vectors.len() >= 17);
    for (name, text) in vectors {
        let envelope: Envelope =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!matches!(envelope.event, Event::Unknown(_)), "{name}");
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&envelope).unwrap(), expected, "{name}");
    }
}

#[test]
fn what_a_newer_node_says_is_unknown_and_no_error() {
    let text = |event: &str| {
        format!(r#"{{"v":1,"from":"n","epoch":1,"session":"s","event":{event},"later":true}}"#)
    };
    let read = |event: &str| {
        serde_json::from_str::<Envelope>(&text(event))
            .unwrap()
            .event
    };
    assert_eq!(
        read(r#"{"kind":"telepathy","body":{"x":[1]}}"#),
        Event::Unknown("telepathy".into())
    );
    assert_eq!(
        read(r#"{"kind":"control","body":{"what":"drain"}}"#),
        Event::Control(Control::Unknown)
    );
    assert!(matches!(
        read(r#"{"kind":"message-outcome","body":{"id":"m","mood":"good"}}"#),
        Event::MessageOutcome(_)
    ));
}
