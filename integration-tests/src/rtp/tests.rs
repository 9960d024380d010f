use super::*;

#[test]
fn two_peers_hear_each_other() {
    let (here, there) = pair();
    here.send(Stream::tone(there.address().unwrap(), Law::A, 440));
    there.send(Stream::tone(here.address().unwrap(), Law::Mu, 1_000));
    there.wait_tone(440).unwrap().expect_level(-6.0).unwrap();
    here.wait_tone(1_000).unwrap().expect_level(-6.0).unwrap();
    assert_eq!(there.sources(), [here.address().unwrap()].into());

    here.pause();
    let last = here.wait_packets(1).unwrap();
    assert!(
        last.first().is_some_and(|packet| packet.marker),
        "the first packet begins a spurt"
    );
}

#[test]
fn keys_come_once_each_however_often_they_are_sent() {
    let (here, there) = pair();
    let mut stream = Stream::tone(there.address().unwrap(), Law::Mu, 440);
    stream.timestamp = u32::MAX - 300;
    stream.key_type = 96;
    here.send(stream);
    here.press("11*").unwrap();
    let pressed = there.wait_keys("11*", 96).unwrap();
    assert!(
        pressed
            .iter()
            .all(|press| press.duration == 800 && press.packets >= 5),
        "{pressed:?}"
    );
    assert!(there.pressed(101).is_empty());
    assert!(here.press("x").is_err());
    there.wait_tone(440).unwrap();
}

#[test]
fn another_may_pretend_to_be_a_peer() {
    let (here, there) = pair();
    here.send(Stream::tone(there.address().unwrap(), Law::Mu, 440));
    there.wait_packets(2).unwrap();
    let liar = Peer::bind("127.0.0.2:0").unwrap();
    liar.send(here.stream().unwrap());
    wait::until("both sources", GENEROUS, || {
        Ok((there.sources().len() == 2).then_some(()))
    })
    .unwrap();
    let packets = there.wait_packets(10).unwrap();
    assert!(
        packets
            .iter()
            .all(|packet| packet.source == packets[0].source)
    );
}

#[test]
fn reads_what_others_write() {
    // One contributing source, one word of extension, two bytes of padding.
    let bytes = b"\xb1\x88\x00\x01\0\0\0\x02\0\0\0\x03CSRC\xbe\xde\0\x01EXT.hello\0\x02";
    let packet = Packet::read(bytes).unwrap();
    assert_eq!(
        (
            packet.payload.as_slice(),
            packet.payload_type,
            packet.marker
        ),
        (b"hello".as_slice(), 8, true)
    );
    assert_eq!(
        (packet.sequence, packet.timestamp, packet.source),
        (1, 2, 3)
    );
    // RTCP, STUN, and pieces.
    assert!(Packet::read(b"\x80\xc8\0\x01\0\0\0\x02\0\0\0\x03").is_none());
    assert!(Packet::read(b"\0\x01\0\0\x21\x12\xa4\x42............").is_none());
    for length in 0..21 {
        assert!(Packet::read(&bytes[..length]).is_none(), "{length}");
    }
}

fn pair() -> (Peer, Peer) {
    (
        Peer::bind("127.0.0.1:0").unwrap(),
        Peer::bind("127.0.0.1:0").unwrap(),
    )
}
