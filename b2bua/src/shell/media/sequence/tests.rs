use super::*;

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
    Header {
        marker: false,
        payload_type: 0,
        sequence,
        timestamp,
        ssrc,
        payload: 12..12,
    }
}

#[test]
fn late_packets_are_new_once_and_losses_are_counted_across_the_wrap() {
    let now = Instant::now();
    let mut receiving = Receiving::default();
    let mut note = |sequence| receiving.note(&header(1, sequence, 0), Some(8000), now);
    let Arrival::First(first) = note(65_533) else {
        panic!("not the first")
    };
    assert_eq!(note(65_535), Arrival::New(first + 2));
    assert_eq!(note(1), Arrival::New(first + 4));
    assert_eq!(note(65_534), Arrival::New(first + 1));
    assert_eq!(note(65_534), Arrival::Repeated);
    assert_eq!(note(1), Arrival::Repeated);
    assert_eq!((receiving.lost(), receiving.received), (1, 4));
}

#[test]
fn another_source_begins_anew_and_keeps_the_losses_before() {
    let now = Instant::now();
    let mut receiving = Receiving::default();
    receiving.note(&header(1, 10, 0), Some(8000), now);
    receiving.note(&header(1, 12, 0), Some(8000), now);
    assert!(matches!(
        receiving.note(&header(2, 50_000, 0), Some(8000), now),
        Arrival::First(_)
    ));
    // So does the same source after a jump.
    assert!(matches!(
        receiving.note(&header(2, 10_000, 0), Some(8000), now),
        Arrival::First(_)
    ));
    assert_eq!((receiving.lost(), receiving.received), (1, 4));
}

#[test]
fn reports_tell_the_fraction_lost_since_the_last() {
    let now = Instant::now();
    let mut receiving = Receiving::default();
    for sequence in [1, 2, 3, 5] {
        receiving.note(&header(7, sequence, 0), Some(8000), now);
    }
    receiving.note_report(7, 0xabcd, now);
    let report = receiving
        .reception(now + Duration::from_millis(500))
        .unwrap();
    assert_eq!((report.fraction, report.lost), (51, 1));
    assert_eq!((report.sender_report, report.delay), (0xabcd, 32_768));
    receiving.note(&header(7, 6, 0), Some(8000), now);
    let report = receiving.reception(now).unwrap();
    assert_eq!((report.fraction, report.lost), (0, 1));
}

#[test]
fn jitter_is_the_deviation_from_the_clock() {
    let mut now = Instant::now();
    let mut receiving = Receiving::default();
    for n in 0..200u16 {
        receiving.note(&header(1, n, u32::from(n) * 160), Some(8000), now);
        now += Duration::from_millis(if n % 2 == 0 { 10 } else { 30 });
    }
    let jitter = receiving.jitter();
    assert!(jitter > Duration::from_millis(9) && jitter < Duration::from_millis(11));
}

#[test]
fn no_number_is_sent_twice() {
    let mut sending = Sending::new(1, 0, 0);
    let base = sending.highest();
    assert!(sending.claim(base + 3).is_some());
    assert!(sending.claim(base + 1).is_some());
    assert_eq!(sending.claim(base + 1), None);
    assert_eq!(sending.claim(base + 3), None);
    sending.claim(base + 500);
    assert_eq!(sending.claim(base + 2), None, "too late to tell");
}

#[test]
fn time_goes_on_while_nothing_is_sent() {
    let now = Instant::now();
    let mut sending = Sending::new(1, 0, 1000);
    assert_eq!(sending.timestamp(8000, now), 1000);
    sending.note(1160, 160, now);
    assert_eq!(sending.timestamp(8000, now + Duration::from_secs(1)), 9160);
    sending.note(1000, 160, now + Duration::from_secs(1));
    assert_eq!(sending.timestamp(8000, now + Duration::from_secs(1)), 9160);
}
