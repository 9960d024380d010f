//! Strangers, floods and nonsense.

use std::net::SocketAddr;
use std::time::Duration;

use super::browser::Packet;
use super::codecs::numbered;
use super::world::{ANCHOR, World, address, flow};
use super::*;
use crate::media::Protection;
use crate::shell::media::packet::Header;

fn sound(ssrc: u32, sequence: u16) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc,
        payload: 0..0,
    };
    header
        .packet(&[0x55; 160], &mut bytes::BytesMut::new())
        .to_vec()
}

#[test]
fn whoever_finds_the_port_neither_speaks_nor_listens() {
    let mut world = World::connected(numbered("PCMU"), numbered("PCMU"));
    world.browser.tone.forget();
    let stranger = address("198.51.100.66:4000");
    for sequence in 0..500 {
        let (from, to, bytes) = (stranger, world.sip.rtp, sound(99, sequence));
        world.post(Packet { from, to, bytes });
        // Also from the right address, but another port, when that is known.
        let (from, bytes) = (address("198.51.100.5:4444"), sound(99, sequence));
        world.post(Packet { from, to, bytes });
        world.run(Duration::from_millis(5));
    }
    assert!(world.browser.tone.is_clean(), "a stranger was heard");
    assert!(world.astray.is_empty(), "a stranger was answered");
    let report = world.release();
    assert!(report.sip.dropped >= 900);
}

#[test]
fn a_stranger_who_comes_first_is_not_believed() {
    let mut world = World::new(numbered("PCMU"), numbered("PCMU"));
    let (from, to) = (address("198.51.100.66:4000"), world.sip.rtp);
    world.connect_phone(Protection::Plain, flow(&numbered("PCMU")));
    let bytes = sound(1, 1);
    world.post(Packet { from, to, bytes });
    world.connect_browser(tandem_shared::media::Setup::Active, flow(&numbered("PCMU")));
    world.seconds(3);
    assert!(world.astray.is_empty());
    assert!(world.phone.tone.is_audible());
}

#[test]
fn a_phone_behind_a_nat_is_found_by_its_packets() {
    let mut world = World::new(numbered("PCMU"), numbered("PCMU"));
    let outside: SocketAddr = address("198.51.100.5:61234");
    let mut peer = world.phone.describe(Protection::Plain);
    peer.rtp = Some(address("10.0.0.7:4000"));
    peer.rtcp = Some(address("10.0.0.7:4001"));
    world.phone.rtp = outside;
    world.phone.remote = Some(world.sip.rtp);
    let (anchor, agreed) = (ANCHOR, Box::new(flow(&numbered("PCMU"))));
    let peer = Box::new(peer);
    world.order(Command::ConnectSip {
        anchor,
        peer,
        flow: agreed,
    });
    world.connect_browser(tandem_shared::media::Setup::Active, flow(&numbered("PCMU")));
    world.seconds(3);
    assert!(world.phone.tone.is_audible());
}

#[test]
fn nonsense_is_dropped_and_nothing_grows() {
    let mut world = World::connected(numbered("opus"), numbered("PCMU"));
    let (calls, tables) = world.shard.sizes();
    let mut random = 7u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as u8
    };
    let (browser, phone) = (world.browser.address, world.phone.rtp);
    let firsts = [0, 1, 20, 22, 63, 128, 144, 160, 191];
    for n in 0..20_000usize {
        let length = usize::from(next()) * 2;
        let mut bytes: Vec<u8> = (0..length).map(|_| next()).collect();
        if let Some(first) = bytes.first_mut() {
            *first = firsts[n % firsts.len()];
        }
        let stranger = SocketAddr::from(([198, 18, next(), next()], 1000));
        let now = world.now;
        for (socket, from) in [
            (Socket::Xmpp(0), browser),
            (Socket::Xmpp(0), stranger),
            (Socket::Rtp(ANCHOR), phone),
            (Socket::Rtp(ANCHOR), stranger),
            (Socket::Rtcp(ANCHOR), phone),
        ] {
            world.shard.handle_packet(socket, from, &bytes, now);
        }
    }
    world.shard.output = Output::default();
    assert_eq!(world.shard.sizes(), (calls, tables));
    world.seconds(1);
    world.phone.tone.forget();
    world.browser.tone.forget();
    world.seconds(3);
    assert!(world.phone.tone.is_clean(), "the call did not survive");
    world.release();
}

#[test]
fn checks_with_a_wrong_password_cost_little_and_change_nothing() {
    let mut world = World::connected(numbered("opus"), numbered("PCMU"));
    let name = format!("{}:x", world.xmpp.ice.ufrag);
    let sizes = world.shard.sizes();
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend([7; 12]);
    let attribute = |kind: u16, value: &[u8]| {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    message.extend(attribute(6, name.as_bytes()));
    message.extend(attribute(0x24, &[0, 0, 0, 1]));
    message.extend(attribute(8, &[9; 20]));
    let length = (message.len() - 20) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    assert!(matches!(ice::recipient(&message), Some(Recipient::Name(_))));
    let now = world.now;
    for port in 1..2000 {
        let from = SocketAddr::from(([198, 18, 0, 1], port));
        world
            .shard
            .handle_packet(Socket::Xmpp(0), from, &message, now);
    }
    assert!(
        world.shard.output.transmits.is_empty(),
        "a stranger was answered"
    );
    assert_eq!(world.shard.sizes(), sizes);
    world.release();
}

#[test]
fn a_panic_ends_its_own_call_alone() {
    let mut world = World::connected(numbered("PCMU"), numbered("PCMU"));
    let (rtp, rtcp) = (address("203.0.113.1:21000"), address("203.0.113.1:21001"));
    let other = AnchorId(2);
    let now = world.now;
    world.shard.open(other, rtp, rtcp, now);
    world.shard.with(other, now, |_, _, _| panic!("on purpose"));
    let failed = |event: &&Event| {
        matches!(
            event,
            Event::Failed {
                anchor: AnchorId(2),
                ..
            }
        )
    };
    assert_eq!(world.shard.output.events.iter().filter(failed).count(), 2);
    world
        .shard
        .handle_packet(Socket::Rtp(other), rtp, &sound(1, 1), now);
    world.shard.handle(Command::Release { anchor: other }, now);
    let released = world.shard.output.events.pop();
    assert!(matches!(
        released,
        Some(Event::Released {
            anchor: AnchorId(2),
            ..
        })
    ));
    world.browser.tone.forget();
    world.seconds(2);
    assert!(world.browser.tone.is_clean(), "the other call suffered");
    world.release();
}
