use super::super::tone::{self, Tone};
use super::*;

fn codec(name: &str) -> Codec {
    tone::codec(name, 96)
}

/// Sends a tone of `seconds` through a transcoder; `lose` and `swap` spoil every n-th packet.
fn through(from: &str, to: &str, ptime: u16, lose: u64, swap: u64) -> (Vec<Encoded>, Tone) {
    let (from, to) = (codec(from), codec(to));
    let wait = Duration::from_millis(20)..=Duration::from_millis(120);
    let mut transcoder = Transcoder::new(&from, &to, ptime, wait).unwrap();
    let mut source = Tone::new(&from, 20);
    let mut packets: Vec<_> = (0..150u64).map(|n| (n, source.packet())).collect();
    for n in 1..packets.len() {
        if swap > 0 && (n as u64).is_multiple_of(swap) {
            packets.swap(n - 1, n);
        }
    }
    let (mut now, mut out) = (Instant::now(), Vec::new());
    for (number, (timestamp, payload)) in packets {
        transcoder.handle_timeout(0, now, &mut out);
        if lose == 0 || number % lose != lose - 1 {
            transcoder.push(number, timestamp, &payload, 5000, now, &mut out);
        }
        now += Duration::from_millis(20);
    }
    let mut heard = Tone::new(&to, ptime);
    for packet in &out {
        heard.hear(&packet.payload);
    }
    (out, heard)
}

#[test]
fn a_tone_is_the_same_tone_in_every_other_codec() {
    let names = ["opus", "PCMU", "PCMA", "G722"];
    for from in names {
        for to in names.into_iter().filter(|to| *to != from) {
            let (out, heard) = through(from, to, 20, 0, 0);
            let length = out.len();
            assert!((147..=151).contains(&length), "{from} to {to}: {length}");
            assert!(heard.is_clean(), "{from} to {to}: {:.3}", heard.purity());
        }
    }
}

#[test]
fn loss_and_disorder_leave_the_tone_audible_and_time_whole() {
    for (from, to) in [("opus", "PCMU"), ("PCMU", "opus"), ("G722", "PCMA")] {
        let (out, heard) = through(from, to, 20, 10, 7);
        assert!(heard.is_audible(), "{from} to {to}: {:.3}", heard.purity());
        let clock = codec(to).clock;
        let last = out.last().unwrap().timestamp.wrapping_sub(5000);
        let seconds = f64::from(last) / f64::from(clock);
        assert!((2.8..3.05).contains(&seconds), "{from} to {to}: {seconds}");
        assert!(out.is_sorted_by_key(|packet| packet.timestamp));
    }
}

#[test]
fn packets_get_the_length_that_is_wanted() {
    for (ptime, ticks) in [(10, 80), (20, 160), (30, 240), (40, 320), (60, 480)] {
        let (out, heard) = through("opus", "PCMA", ptime, 0, 0);
        assert!(out.iter().all(|packet| packet.payload.len() == ticks));
        let steps = out
            .windows(2)
            .map(|two| two[1].timestamp - two[0].timestamp);
        assert!(steps.into_iter().all(|step| step as usize == ticks));
        assert!(heard.is_clean());
    }
}

#[test]
fn a_pause_stays_a_pause() {
    let (from, to) = (codec("PCMU"), codec("opus"));
    let wait = Duration::from_millis(20)..=Duration::from_millis(120);
    let mut transcoder = Transcoder::new(&from, &to, 20, wait).unwrap();
    let (now, mut out) = (Instant::now(), Vec::new());
    let sound = [0xff; 160];
    transcoder.push(1, 1000, &sound, 0, now, &mut out);
    transcoder.push(2, 1000 + 8000, &sound, 0, now, &mut out);
    let seen: Vec<_> = out.iter().map(|it| (it.timestamp, it.marker)).collect();
    assert_eq!(seen, [(0, true), (960 + 48_000 - 960, true)]);
}

#[test]
fn nonsense_makes_no_sound_and_no_harm() {
    for from in ["opus", "PCMU", "G722"] {
        let wait = Duration::ZERO..=Duration::ZERO;
        let mut transcoder = Transcoder::new(&codec(from), &codec("PCMA"), 20, wait).unwrap();
        let (now, mut out) = (Instant::now(), Vec::new());
        for number in 0..500u64 {
            let payload: Vec<u8> = (0..number * 3)
                .map(|n| (n * n * 31 + number) as u8)
                .collect();
            let timestamp = (number * 2_654_435_761) as u32;
            transcoder.push(number * 2, timestamp, &payload, 0, now, &mut out);
        }
        assert!(transcoder.samples.len() < 960);
    }
}
