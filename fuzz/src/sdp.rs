//! Session descriptions, and what is answered to them.

use std::net::{IpAddr, Ipv4Addr};

use tandem_b2bua::body::sdp::{MAX_LENGTH, SUITES, Sdp};
use tandem_b2bua::call::negotiate::{Policy, sip};
use tandem_b2bua::media::{Fingerprint, Key, SipLocal};
use tandem_b2bua::sip::grammar;
use tandem_shared::media::Direction;

/// A description that was read is written in clean lines and reads back as the same; it is answered
/// line by line, or refused, and as an answer to ours it is taken or refused.
pub fn description(data: &[u8]) {
    // As one part of several it is found or not.
    let _ = Sdp::read("multipart/mixed;boundary=b", data);
    let Ok(sdp) = Sdp::parse(data) else {
        return;
    };
    // What was said once for all streams is written for each, which may become too long to read.
    if print(&sdp).len() <= MAX_LENGTH {
        assert_eq!(Sdp::parse(print(&sdp).as_bytes()).as_ref(), Ok(&sdp));
    }
    let (local, policy) = (local(), Policy::default());
    let terms = sip::Terms {
        local: &local,
        policy: &policy,
        session: 1,
        signalling: HERE,
        direction: Direction::Both,
        other: &sip::codecs(&sdp, &policy),
        now: None,
        sent: None,
    };
    if let Ok(agreed) = sip::answer(&terms, &sdp) {
        assert_eq!(agreed.ours.media.len(), sdp.media.len());
        assert_eq!(
            Sdp::parse(print(&agreed.ours).as_bytes()).as_ref(),
            Ok(&agreed.ours)
        );
        let now = sip::Terms {
            now: Some(&agreed),
            sent: Some(&agreed.ours),
            ..terms
        };
        assert_eq!(sip::offer(&now).media.len(), sdp.media.len());
    }
    let _ = sip::accept(&terms, sip::offer(&terms), &sdp);
}

fn print(sdp: &Sdp) -> String {
    let written = sdp.to_string();
    for line in written.split("\r\n") {
        assert!(!line.contains(grammar::is_forbidden));
    }
    written
}

/// Our end of the SIP leg.
pub fn local() -> SipLocal {
    SipLocal {
        rtp: (HERE, 5000).into(),
        rtcp: (HERE, 5001).into(),
        keys: SUITES
            .map(|(suite, length)| Key {
                suite: suite.to_owned(),
                bytes: vec![1; length],
            })
            .to_vec(),
        fingerprint: Fingerprint {
            hash: "sha-256".to_owned(),
            value: "AA:BB".to_owned(),
        },
        ssrc: 1,
    }
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
