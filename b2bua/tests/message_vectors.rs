//! The SIP half of `shared/vectors/message`: each folder is one message as a stanza, as the event
//! on the bus and as a request. The component's tests hold the other half to the same events.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tandem_b2bua::account::AccountSettings;
use tandem_b2bua::clock::Now;
use tandem_b2bua::emergency::Emergency;
use tandem_b2bua::fingerprint::Fingerprint;
use tandem_b2bua::message::request::{self, Attempt};
use tandem_b2bua::message::thread::Threads;
use tandem_b2bua::message::translate::{self, Translated};
use tandem_b2bua::number::{Numbering, Numbers};
use tandem_b2bua::policy::{Allowance, Policy};
use tandem_b2bua::settings::{MessageSettings, Settings};
use tandem_b2bua::sip::endpoint::{Admission, EndpointConfig, SentBy, Source};
use tandem_b2bua::sip::parse::{Framing, parse};
use tandem_b2bua::sip::uri::HostPort;
use tandem_b2bua::sip::{self, Flow, Transport};
use tandem_b2bua::target::{Found, Target};
use tandem_b2bua::trunk::{NextHop, Trunk, Trunks};
use tandem_shared::address::Mapping;
use tandem_shared::message::Message;

/// Call-ID, tag and fingerprints follow from it.
const KEY: [u8; 16] = [7; 16];

#[test]
fn every_event_to_sip_is_its_request() {
    let settings = settings();
    for folder in vectors("to-sip-") {
        let message = event(&folder);
        let own = settings.mapping.domain.as_str();
        let trunks = settings.trunks.find(&message.to, own).unwrap();
        let trunk = settings.trunks.get(trunks[0]).unwrap();
        let found = Found {
            trunks,
            user: message.to.user.clone(),
            hidden: false,
            chosen: None,
            via: None,
            abroad: false,
            emergency: false,
        };
        let target = Target::new(&message.to, &found, trunk, &settings).unwrap();
        let attempt = Attempt {
            text: &message.body,
            part: 0,
            round: 0,
        };
        let request = request::compose(&message, &target, trunk, attempt, &settings, &KEY).unwrap();
        let mut bytes = Vec::new();
        request.print(&mut bytes);
        let printed = String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
        let wanted = String::from_utf8(wire(&folder)).unwrap();
        assert_eq!(
            printed,
            wanted.trim_end_matches('\n'),
            "{}",
            folder.display()
        );
    }
}

#[test]
fn every_request_from_sip_is_its_event() {
    let settings = settings();
    for folder in vectors("to-xmpp-") {
        let parsed = parse(&wire(&folder), Framing::Datagram).unwrap();
        let sip::Message::Request(request) = parsed else {
            panic!("{} is no request", folder.display());
        };
        let peer = ([192, 0, 2, 1], 5060).into();
        let source = Source::of(Flow::Udp { socket: 0, peer });
        let print = Fingerprint::of(&KEY, source.address(), &request);
        let threads = Threads::default();
        let read = translate::from_sip(&request, source, print, &settings, &threads, now());
        let wanted = Translated::Message(Box::new(event(&folder)));
        assert_eq!(read, Ok(wanted), "{}", folder.display());
    }
}

/// One trunk for numbers and every domain.
fn settings() -> Settings {
    let own = HostPort::parse("192.0.2.9:5060").unwrap();
    let sent_by = SentBy {
        udp: own.clone(),
        tcp: own.clone(),
        tls: own.clone(),
        ws: own.clone(),
        wss: own,
    };
    let mapping = Mapping {
        domain: "sip.example.com".to_owned(),
        user_domains: vec!["example.com".to_owned(), "bücher.example".to_owned()],
    };
    let hop = HostPort::parse("192.0.2.1").unwrap();
    let trunk = Trunk {
        patterns: ["+*", "*@example.net", "*@grün.example"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        next_hop: Some(NextHop {
            host: hop.host,
            port: None,
        }),
        transport: Some(Transport::Udp),
        large: None,
        inbound: vec!["192.0.2.0/24".parse().unwrap()],
        ..Trunk::new("all")
    };
    Settings {
        mapping: mapping.normalised().unwrap(),
        trunks: Arc::new(Trunks::new(vec![trunk])),
        numbers: Numbers::default(),
        numbering: Numbering::default(),
        accounts: AccountSettings::default(),
        policy: Policy::new(None, &["+*".to_owned()], &[]).with_allowance(Allowance::unlimited()),
        emergency: Emergency::new([]),
        endpoint: EndpointConfig::new(sent_by, Admission::new(|_| true)),
        message: MessageSettings::default(),
        call: tandem_b2bua::call::CallSettings::default(),
        nat: Default::default(),
        global_failures: false,
    }
}

fn now() -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Now {
        instant: Instant::now(),
        wall: UNIX_EPOCH + Duration::from_secs(1_785_585_600),
    }
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

/// The request, its lines ended by LF.
fn wire(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("sip.txt")).unwrap()
}
