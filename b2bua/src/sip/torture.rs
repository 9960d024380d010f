//! Requests and responses that are malformed, or valid against all appearances (in the spirit of
//! RFC 4475), each with what becomes of it in the name of its file: `ok` reaches the core, `drop`
//! is answered by silence, three digits are the status of the answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tandem_shared::mint::Mint;

use super::endpoint::{Admission, Endpoint, EndpointConfig, Event, SentBy};
use super::hop::Flow;
use super::message::Message;
use super::parse::{self, Framing};
use super::uri::HostPort;

#[test]
fn every_file_of_the_corpus_gets_its_answer() {
    let mut wrong = Vec::new();
    let corpus = corpus();
    assert!(corpus.len() >= 80);
    for (name, bytes) in &corpus {
        let expected = name.split('-').next().unwrap();
        let found = outcome(bytes);
        if found != expected {
            wrong.push(format!("{name}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_the_corpus_yields_prints_and_reads_back_the_same() {
    for (name, bytes) in corpus() {
        let Ok(message) = parse::parse(&bytes, Framing::Datagram) else {
            continue;
        };
        let mut printed = Vec::new();
        message.print(&mut printed);
        assert_eq!(
            parse::parse(&printed, Framing::Stream),
            Ok(message),
            "{name}"
        );
    }
}

#[test]
fn cut_and_flipped_files_never_panic() {
    for bytes in corpus().into_values() {
        let step = (bytes.len() / 60).max(1);
        for at in (0..bytes.len()).step_by(step) {
            outcome(&bytes[..at]);
            outcome(&bytes[at..]);
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x15;
            outcome(&flipped);
        }
    }
}

fn corpus() -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sip/torture");
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|kind| kind == "sip"));
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect()
}

fn outcome(bytes: &[u8]) -> String {
    let ours = HostPort::parse("tandem.example").unwrap();
    let sent_by = SentBy {
        udp: ours.clone(),
        tcp: ours.clone(),
        tls: ours.clone(),
        ws: ours.clone(),
        wss: ours,
    };
    let config = EndpointConfig::new(sent_by, Admission::new(|_| true));
    let mut endpoint = Endpoint::new(config, Mint::new([1; 16]));
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    let now = Instant::now();
    let flow = Flow::Udp {
        socket: 0,
        peer: ([192, 0, 2, 10], 5060).into(),
    };
    endpoint.handle_packet(flow, bytes, now);
    match (endpoint.poll_event(), endpoint.poll_transmit()) {
        (Some(Event::Request { .. }), None) => "ok".to_owned(),
        (None, Some(transmit)) => match parse::parse(&transmit.bytes, Framing::Stream) {
            Ok(Message::Response(response)) => response.status.to_string(),
            other => panic!("an answer nobody can read: {other:?}"),
        },
        (None, None) => "drop".to_owned(),
        other => panic!("{other:?}"),
    }
}
