use std::fmt::Write as _;

use super::*;

fn payload(event: u8, duration: u16, end: bool) -> Payload {
    Payload {
        event,
        end,
        volume: 10,
        duration,
    }
}

#[test]
fn hearing_transitions() {
    let now = Instant::now();
    let held = |timestamp, duration| Hearing::Held {
        timestamp,
        payload: payload(1, duration, false),
        at: now,
    };
    let states = [
        ("idle", Hearing::Idle(None)),
        ("idle after 1000", Hearing::Idle(Some(1000))),
        ("held since 1000", held(1000, 320)),
    ];
    let inputs = [
        ("first of 1000", 1000, payload(1, 160, false)),
        ("later of 1000", 1000, payload(1, 480, false)),
        ("end of 1000", 1000, payload(1, 640, true)),
        ("older", 500, payload(2, 160, false)),
        ("newer", 2000, payload(2, 160, false)),
        ("end of newer", 2000, payload(2, 160, true)),
    ];
    let brief = |hearing: Hearing| match hearing {
        Hearing::Idle(last) => format!("Idle({last:?})"),
        Hearing::Held {
            timestamp, payload, ..
        } => format!("Held({timestamp}, {})", payload.duration),
    };
    let mut table = "| state | input | next | changes |\n|---|---|---|---|\n".to_owned();
    for (name, state) in states {
        for (input, timestamp, payload) in inputs {
            let (mut after, mut out) = (state, Vec::new());
            after.handle(timestamp, payload, now, &mut out);
            let changes: Vec<String> = out
                .iter()
                .map(|change| match change {
                    Change::Down { first, payload } => {
                        format!(
                            "Down({}, {}, first: {first})",
                            payload.event, payload.duration
                        )
                    }
                    Change::Up(payload) => format!("Up({}, {})", payload.event, payload.duration),
                })
                .collect();
            let changes = changes.join(", ");
            let _ = writeln!(table, "| {name} | {input} | {} | {changes} |", brief(after));
        }
        let (mut after, mut out) = (state, Vec::new());
        after.handle_timeout(now + LOST_AFTER, &mut out);
        let _ = writeln!(
            table,
            "| {name} | silence | {} | {} |",
            brief(after),
            out.len()
        );
    }
    insta::assert_snapshot!(table);
}

/// Plays until nothing is left.
fn play(playing: &mut Playing, clock: u32, mut now: Instant) -> Vec<(u128, Packet)> {
    let (start, mut all) = (now, Vec::new());
    for _ in 0..1000 {
        let mut out = Vec::new();
        let elapsed = now.duration_since(start).as_millis();
        let timestamp = (elapsed * u128::from(clock) / 1000) as u32;
        playing.handle_timeout(clock, timestamp, now, &mut out);
        all.extend(out.into_iter().map(|packet| (elapsed, packet)));
        now += Duration::from_millis(5);
    }
    all
}

#[test]
fn a_key_is_a_marked_start_updates_and_three_ends() {
    for clock in [8000, 48_000] {
        let mut playing = Playing::default();
        playing.press(event('5').unwrap(), Duration::from_millis(100));
        playing.press(event('#').unwrap(), Duration::from_millis(60));
        let packets = play(&mut playing, clock, Instant::now());
        let five: Vec<_> = packets
            .iter()
            .filter(|(_, p)| p.payload.event == 5)
            .collect();
        let hash: Vec<_> = packets
            .iter()
            .filter(|(_, p)| p.payload.event == 11)
            .collect();
        assert_eq!((five.len(), hash.len()), (7, 5));
        let unit = (clock / 50) as u16;
        let durations: Vec<u16> = five
            .iter()
            .map(|(_, p)| p.payload.duration / unit)
            .collect();
        assert_eq!(durations, [1, 2, 3, 4, 5, 5, 5]);
        let ends: Vec<bool> = five.iter().map(|(_, p)| p.payload.end).collect();
        assert_eq!(ends, [false, false, false, false, true, true, true]);
        assert!(five[0].1.marker && five[1..].iter().all(|(_, p)| !p.marker));
        assert!(five.iter().all(|(_, p)| p.timestamp == five[0].1.timestamp));
        assert!(hash[0].0 >= 180, "keys run into one another");
        assert!(!playing.is_busy() && playing.deadline().is_none());
    }
}

#[test]
fn a_key_of_another_clock_is_followed() {
    let mut playing = Playing::default();
    let now = Instant::now();
    let mut out = Vec::new();
    let clocks = (8000, 48_000);
    let down = |first, duration| Change::Down {
        first,
        payload: payload(3, duration, false),
    };
    playing.follow(down(true, 160), clocks, 7000, now, &mut out);
    playing.follow(down(false, 320), clocks, 9999, now, &mut out);
    playing.follow(
        Change::Up(payload(3, 480, true)),
        clocks,
        9999,
        now,
        &mut out,
    );
    assert!(playing.is_busy());
    let rest = play(&mut playing, 48_000, now + Duration::from_millis(1));
    out.extend(rest.into_iter().map(|(_, packet)| packet));
    let seen: Vec<_> = out
        .iter()
        .map(|p| (p.timestamp, p.payload.duration, p.payload.end, p.marker))
        .collect();
    assert_eq!(
        seen,
        [
            (7000, 960, false, true),
            (7000, 1920, false, false),
            (7000, 2880, true, false),
            (7000, 2880, true, false),
            (7000, 2880, true, false)
        ]
    );
}

#[test]
fn keys_and_events_are_one_to_one() {
    for (number, name) in KEYS.iter().enumerate() {
        assert_eq!(event(*name), Some(number as u8));
        assert_eq!(key(number as u8), Some(*name));
    }
    assert_eq!((event('d'), event('E'), key(16)), (Some(15), None, None));
    assert_eq!(Payload::read(&[16, 0, 0, 0]), None);
    assert_eq!(Payload::read(&[1, 0, 0]), None);
    let written = payload(4, 5, true);
    assert_eq!(Payload::read(&written.write()), Some(written));
}
