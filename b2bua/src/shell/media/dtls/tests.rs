use std::time::Duration;

use bytes::BytesMut;

use super::*;

fn start() -> Instant {
    Instant::now()
}

/// Carries packets between two ends until nothing moves; `lose` drops every n-th.
fn run(a: &mut Handshake, b: &mut Handshake, lose: Option<usize>) -> (Vec<Step>, Vec<Step>) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    let (mut done_a, mut done_b) = (Vec::new(), Vec::new());
    // Later than whatever was before.
    let mut now = start() + Duration::from_secs(20);
    let mut carried = 0;
    for _ in 0..200 {
        a.handle_timeout(now, &mut of_a);
        b.handle_timeout(now, &mut of_b);
        for _ in 0..10 {
            let steps = (std::mem::take(&mut of_a), std::mem::take(&mut of_b));
            let mut carry = |steps: Vec<Step>,
                             done: &mut Vec<Step>,
                             to: &mut Handshake,
                             back: &mut Vec<Step>| {
                for step in steps {
                    let Step::Packet(packet) = step else {
                        done.push(step);
                        continue;
                    };
                    carried += 1;
                    if lose.is_none_or(|n| carried % n != 0) {
                        to.handle_packet(&packet, now, back);
                    }
                }
            };
            carry(steps.0, &mut done_a, b, &mut of_b);
            carry(steps.1, &mut done_b, a, &mut of_a);
        }
        now += Duration::from_millis(100);
    }
    (done_a, done_b)
}

fn ends(wrong: bool) -> (Handshake, Handshake) {
    let (a, b) = (
        Certificate::generate().unwrap(),
        Certificate::generate().unwrap(),
    );
    let mut expected = b.fingerprint.clone();
    if wrong {
        expected = a.fingerprint.clone();
    }
    (
        Handshake::new(&a, expected, true),
        Handshake::new(&b, a.fingerprint.clone(), false),
    )
}

fn keys(steps: Vec<Step>) -> Guard {
    let mut guards = steps.into_iter().filter_map(|step| match step {
        Step::Keys(guard) => Some(guard),
        Step::Packet(_) | Step::Failed(_) => None,
    });
    guards.next().unwrap()
}

#[test]
fn both_ends_get_the_same_keys_even_with_loss() {
    for lose in [None, Some(4)] {
        let (mut a, mut b) = ends(false);
        let (of_a, of_b) = run(&mut a, &mut b, lose);
        let (mut a, mut b) = (keys(of_a), keys(of_b));
        let packet = BytesMut::from(&[0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 42][..]);
        let sealed = a.seal_rtp(packet.clone()).unwrap();
        assert_eq!(b.open_rtp(&sealed).unwrap(), packet);
        let sealed = b.seal_rtp(packet.clone()).unwrap();
        assert_eq!(a.open_rtp(&sealed).unwrap(), packet);
    }
}

#[test]
fn another_certificate_than_announced_gives_no_keys() {
    let (mut a, mut b) = ends(true);
    let (of_a, _) = run(&mut a, &mut b, None);
    assert!(matches!(
        of_a.as_slice(),
        [Step::Failed(Failure::Fingerprint)]
    ));
    assert!(!a.is_connected());
}

#[test]
fn a_flood_of_fragments_ends_somewhere() {
    let (_, mut b) = ends(false);
    // One message in pieces of a byte: put together, each piece calls for the next.
    let mut packet = Vec::new();
    let (now, mut out) = (start(), Vec::new());
    for piece in 0..20_000u32 {
        packet.extend([22, 254, 253, 0, 0]);
        packet.extend(&u64::from(piece).to_be_bytes()[2..]);
        packet.extend([0, 13, 1]);
        packet.extend(&20_000u32.to_be_bytes()[1..]);
        packet.extend([0, 0]);
        packet.extend(&piece.to_be_bytes()[1..]);
        packet.extend([0, 0, 1, 7]);
        if packet.len() > 1000 {
            b.handle_packet(&std::mem::take(&mut packet), now, &mut out);
        }
    }
    assert!(b.budget < 1100);
}

#[test]
fn spoiled_records_do_no_harm() {
    let mut random = 3u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize
    };
    for _ in 0..150 {
        let (mut a, mut b) = ends(false);
        let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
        let now = start();
        a.handle_timeout(now, &mut of_a);
        for _ in 0..8 {
            let (from_a, from_b) = (std::mem::take(&mut of_a), std::mem::take(&mut of_b));
            let mut carry = |steps: Vec<Step>, to: &mut Handshake, back: &mut Vec<Step>| {
                for step in steps {
                    let Step::Packet(packet) = step else {
                        continue;
                    };
                    let mut packet = packet.to_vec();
                    to.handle_packet(&packet, now, back);
                    for _ in 0..1 + next() % 3 {
                        let place = next() % packet.len();
                        packet[place] = next() as u8;
                    }
                    packet.truncate(packet.len() - next() % 2 * (next() % packet.len()));
                    to.handle_packet(&packet, now, back);
                }
            };
            carry(from_a, &mut b, &mut of_b);
            carry(from_b, &mut a, &mut of_a);
        }
    }
}

#[test]
fn a_side_that_is_told_late_is_still_reached() {
    let (mut a, mut b) = ends(false);
    let mut now = start();
    let mut unheard = Vec::new();
    for _ in 0..100 {
        a.handle_timeout(now, &mut unheard);
        now += Duration::from_millis(100);
    }
    assert!(unheard.iter().all(|step| matches!(step, Step::Packet(_))));
    let (of_a, of_b) = run(&mut a, &mut b, None);
    assert!(of_a.iter().any(|step| matches!(step, Step::Keys(_))));
    assert!(of_b.iter().any(|step| matches!(step, Step::Keys(_))));
}

#[test]
fn a_side_that_never_answers_fails_once() {
    let (mut a, _) = ends(false);
    let (mut now, mut out) = (start(), Vec::new());
    for _ in 0..600 {
        a.handle_timeout(now, &mut out);
        now += Duration::from_millis(100);
    }
    let failed = |step: &&Step| matches!(step, Step::Failed(Failure::Dtls));
    assert_eq!(out.iter().filter(failed).count(), 1);
    assert_eq!(a.deadline(), None);
}

/// Carries packets between a client of 1.3, with a certificate on that curve or none of ours, and an
/// end of ours; `lose` drops every n-th.
fn run_thirteen(wrong: bool, lose: Option<usize>) -> (Vec<Step>, Option<Vec<u8>>, Handshake) {
    let ours = Certificate::generate().unwrap();
    let theirs = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let der = theirs.cert.der().to_vec();
    let expected = match wrong {
        true => ours.fingerprint.clone(),
        false => Fingerprint {
            hash: "sha-256".into(),
            value: certificate::tests::digest(&der),
        },
    };
    let mut server = Handshake::new(&ours, expected, false);
    let now = start() + Duration::from_secs(20);
    let own = dimpl::DtlsCertificate {
        certificate: der,
        private_key: theirs.signing_key.serialize_der(),
    };
    let provider = dimpl::crypto::rust_crypto::default_provider();
    let config = dimpl::Config::builder().with_crypto_provider(provider);
    let config = std::sync::Arc::new(config.build().unwrap());
    let mut client = dimpl::Dtls::new_auto(config, own, now);
    client.set_active(true);
    let (mut done, mut material, mut carried) = (Vec::new(), None, 0usize);
    let mut now = now;
    for _ in 0..200 {
        let mut to_client = Vec::new();
        let _ = client.handle_timeout(now);
        server.handle_timeout(now, &mut to_client);
        for _ in 0..10 {
            let mut room = vec![0; 4096];
            let mut to_server = Vec::new();
            loop {
                match client.poll_output(&mut room) {
                    dimpl::Output::Packet(packet) => to_server.push(packet.to_vec()),
                    dimpl::Output::KeyingMaterial(keys, _) => material = Some(keys.to_vec()),
                    dimpl::Output::Timeout(_) => break,
                    dimpl::Output::BufferTooSmall { needed } => room.resize(needed, 0),
                    dimpl::Output::Connected | dimpl::Output::PeerCert(_) | _ => {}
                }
            }
            let mut arrives = || {
                carried += 1;
                lose.is_none_or(|n| !carried.is_multiple_of(n))
            };
            for packet in to_server {
                if arrives() {
                    server.handle_packet(&packet, now, &mut to_client);
                }
            }
            for step in std::mem::take(&mut to_client) {
                match step {
                    Step::Packet(packet) if arrives() => {
                        let _ = client.handle_packet(&packet);
                    }
                    Step::Packet(_) => {}
                    Step::Keys(_) | Step::Failed(_) => done.push(step),
                }
            }
        }
        now += Duration::from_millis(100);
    }
    (done, material, server)
}

#[test]
fn a_client_of_the_newer_version_is_answered_in_it() {
    for lose in [None, Some(3), Some(5)] {
        let (steps, material, server) = run_thirteen(false, lose);
        assert_eq!(server.protocol(), "DTLS 1.3");
        let (mut ours, material) = (keys(steps), material.unwrap());
        // The client's own key and salt, of the suite we prefer.
        let suite = Suite::AesGcm256;
        let (key, salt) = suite.lengths();
        let part = |from: usize, length: usize| &material[from..from + length];
        let client = Master::new(suite, part(0, key), part(2 * key, salt));
        let server = Master::new(suite, part(key, key), part(2 * key + salt, salt));
        let mut theirs = Guard::protected(&client, server).unwrap();
        let packet = BytesMut::from(&[0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 42][..]);
        let sealed = theirs.seal_rtp(packet.clone()).unwrap();
        assert_eq!(ours.open_rtp(&sealed).unwrap(), packet);
        let sealed = ours.seal_rtp(packet.clone()).unwrap();
        assert_eq!(theirs.open_rtp(&sealed).unwrap(), packet);
    }
}

#[test]
fn the_newer_version_too_wants_the_announced_certificate() {
    let (steps, _, server) = run_thirteen(true, None);
    assert!(matches!(
        steps.as_slice(),
        [Step::Failed(Failure::Fingerprint)]
    ));
    assert!(!server.is_connected());
}
