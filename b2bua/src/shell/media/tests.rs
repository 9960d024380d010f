//! Through real sockets on loopback, with real threads.

use std::net::{IpAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::tone::codec;
use super::*;
use crate::media::{AnchorId, Flow, Leg, Protection, SipLocal, SipPeer};
use tandem_shared::media::Direction;

fn media(pairs: u16, max_calls: usize, first: u16) -> (Media, Receiver<Event>) {
    let loopback = Interface::plain([127, 0, 0, 1].into());
    let settings = Settings {
        threads: 2,
        xmpp: vec![loopback],
        sip: vec![loopback],
        ports: first..=first + pairs * 2 - 1,
        max_calls,
        ..Settings::default()
    };
    let (send, receive) = channel();
    let sink = move |event| send.send(event).unwrap_or(());
    (Media::start(&settings, sink).unwrap(), receive)
}

/// Behind a one-to-one NAT, and another one toward SIP: what others are told is where they reach us, and
/// what we listen at is where we are.
#[test]
fn others_are_told_the_public_addresses_of_each_side() {
    let at = |public: [u8; 4]| Interface {
        bind: [127, 0, 0, 1].into(),
        public: public.into(),
    };
    let settings = Settings {
        threads: 1,
        xmpp: vec![at([198, 51, 100, 9])],
        sip: vec![at([198, 51, 100, 8])],
        ports: 41_300..=41_309,
        max_calls: 10,
        ..Settings::default()
    };
    let (send, receive) = channel();
    let media = Media::start(&settings, move |event| send.send(event).unwrap_or(())).unwrap();
    let anchor = AnchorId(1);
    // Whichever of its addresses is asked for, others hear the public one.
    let sip = [127, 0, 0, 1].into();
    media.perform(Command::Open { anchor, sip });
    let Event::Opened { xmpp, sip, .. } = next(&receive) else {
        panic!("not opened");
    };
    let public = |last: u8| IpAddr::from([198, 51, 100, last]);
    assert_eq!((sip.rtp.ip(), sip.rtcp.ip()), (public(8), public(8)));
    let candidates: Vec<IpAddr> = xmpp.candidates.iter().map(|it| it.ip).collect();
    assert_eq!(candidates, [public(9)]);
    // The ports are those of our own address.
    assert!(UdpSocket::bind(("127.0.0.1", sip.rtp.port())).is_err());
    assert!(UdpSocket::bind(("127.0.0.1", xmpp.candidates[0].port)).is_err());
}

fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn open(media: &Media, events: &Receiver<Event>, id: u64) -> Option<Box<SipLocal>> {
    let sip = [127, 0, 0, 1].into();
    let anchor = AnchorId(id);
    media.perform(Command::Open { anchor, sip });
    let answer = next(events);
    if let Event::Opened { sip, .. } = answer {
        return Some(sip);
    }
    assert_eq!(answer, Event::NotOpened { anchor });
    None
}

#[test]
fn ports_run_out_and_come_back() {
    let (media, events) = media(3, 100, 41_000);
    let opened: Vec<_> = (0..3)
        .map(|id| open(&media, &events, id).unwrap())
        .collect();
    assert!(opened.iter().all(|sip| sip.rtp.port() % 2 == 0));
    assert_eq!(open(&media, &events, 3), None);
    assert_eq!(
        (media.counters().calls, media.counters().free_pairs),
        (3, 0)
    );
    for id in 0..3 {
        let anchor = AnchorId(id);
        media.perform(Command::Release { anchor });
        assert!(matches!(next(&events), Event::Released { .. }));
    }
    assert_eq!(
        (media.counters().calls, media.counters().free_pairs),
        (0, 3)
    );
    // The sockets are closed, too.
    for sip in opened {
        UdpSocket::bind(sip.rtp).unwrap();
        UdpSocket::bind(sip.rtcp).unwrap();
    }
}

#[test]
fn calls_beyond_the_limit_are_refused() {
    let (media, events) = media(10, 2, 41_100);
    assert!(open(&media, &events, 1).is_some());
    assert!(open(&media, &events, 2).is_some());
    assert_eq!(open(&media, &events, 3), None);
    assert_eq!(media.counters().calls, 2);
}

#[test]
fn a_phone_is_heard_and_strangers_are_not() {
    let (media, events) = media(10, 10, 41_200);
    let sip = open(&media, &events, 1).unwrap();
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    let pcmu = codec("PCMU", 0);
    media.perform(Command::ConnectSip {
        anchor: AnchorId(1),
        peer: Box::new(SipPeer {
            rtp: Some(phone.local_addr().unwrap()),
            rtcp: Some(phone.local_addr().unwrap()),
            signalling: [127, 0, 0, 1].into(),
            protection: Protection::Plain,
        }),
        flow: Box::new(Flow {
            direction: Direction::Both,
            send: pcmu.clone(),
            receive: vec![pcmu],
            events: None,
            ptime: 20,
        }),
    });
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    packet.extend([0xff; 160]);
    for _ in 0..3 {
        stranger.send_to(&packet, sip.rtp).unwrap();
    }
    // Commands and packets are different ways: whichever is first, one packet comes after both.
    let connected = std::iter::repeat_with(|| {
        packet[3] = packet[3].wrapping_add(1);
        phone.send_to(&packet, sip.rtp).unwrap();
        events.recv_timeout(Duration::from_millis(100))
    });
    let connected = connected.take(200).find_map(Result::ok).unwrap();
    let leg = Leg::Sip;
    let anchor = AnchorId(1);
    assert_eq!(connected, Event::Connected { anchor, leg });
    media.perform(Command::Release { anchor });
    let Event::Released { report, .. } = next(&events) else {
        panic!("not released");
    };
    assert!(report.sip.received >= 1 && report.sip.dropped >= 3);
    // The farewell reaches the phone.
    phone
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut buffer = [0; 100];
    let length = phone.recv(&mut buffer).unwrap();
    assert_eq!(classify(&buffer[..length]), Kind::Rtcp);
}
