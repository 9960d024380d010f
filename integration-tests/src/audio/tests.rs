use super::*;

const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(200);

/// White noise of a fixed seed.
fn noise(rate: u32, length: Duration) -> Sound {
    let mut state = 1_u32;
    let mut silence = Sound::tone(0, 0.0, rate, length);
    for sample in &mut silence.samples {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = (state >> 16) as i16 / 4;
    }
    silence
}

#[test]
fn a_tone_is_heard_with_its_frequency_and_level() {
    for rate in [8_000, 16_000, 44_100, 48_000] {
        for hertz in [300, 440, 880, 1_000, 1_633, 3_400] {
            let heard = Sound::tone(hertz, -12.0, rate, SHORT).measure();
            assert!(
                (heard.hertz - f64::from(hertz)).abs() < 1.0,
                "{hertz}: {heard}"
            );
            assert!((heard.decibel + 12.0).abs() < 0.3, "{hertz}: {heard}");
            assert!(heard.share > 0.95, "{hertz}: {heard}");
            heard.expect_tone(hertz).unwrap();
            heard.expect_level(-12.0).unwrap();
        }
    }
}

#[test]
fn another_tone_is_told_from_the_wanted() {
    let heard = Sound::tone(440, -12.0, 8_000, SHORT).measure();
    let error = heard.expect_tone(480).unwrap_err().to_string();
    assert!(
        error.contains("480 Hz") && error.contains("440 Hz at -12 dB"),
        "{error}"
    );
    assert!(heard.expect_level(-20.0).is_err());
}

#[test]
fn silence_is_no_tone() {
    for sound in [
        Sound::tone(0, 0.0, 8_000, SHORT),
        Sound::empty(8_000),
        Sound::tone(440, -60.0, 8_000, SHORT),
    ] {
        let heard = sound.measure();
        assert!(heard.is_silence() && !heard.is_tone(440), "{heard}");
    }
    let error = Sound::empty(8_000).measure().expect_tone(440).unwrap_err();
    assert!(error.to_string().contains("silence"), "{error}");
}

#[test]
fn noise_is_no_tone() {
    let heard = noise(8_000, SECOND).measure();
    assert!(!heard.is_silence() && heard.share < 0.1, "{heard}");
    assert!(!heard.is_tone(heard.hertz as u32), "{heard}");
}

#[test]
fn of_two_tones_the_stronger_is_heard_but_neither_is_the_sound() {
    let weak = Sound::tone(697, -20.0, 8_000, SHORT);
    let both = Sound::tone(1_209, -19.0, 8_000, SHORT).mixed_with(&weak);
    let heard = both.measure();
    assert!(
        (heard.hertz - 1_209.0).abs() < 2.0 && !heard.is_tone(1_209),
        "{heard}"
    );
    assert!((both.level_at(697) + 20.0).abs() < 0.5);
    assert!(both.level_at(941) < -45.0);
}

#[test]
fn a_tone_survives_noise_below_it() {
    let mut quiet = noise(8_000, SHORT);
    quiet.samples.iter_mut().for_each(|sample| *sample /= 16);
    let heard = Sound::tone(440, -12.0, 8_000, SHORT)
        .mixed_with(&quiet)
        .measure();
    heard.expect_tone(440).unwrap();
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tone.wav");
    let tone = Sound::tone(440, -6.0, 16_000, SHORT);
    tone.write_wav(&path).unwrap();
    assert_eq!(Sound::read_wav(&path).unwrap(), tone);
}

#[test]
fn a_file_still_being_written_is_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tone.wav");
    let tone = Sound::tone(440, -6.0, 8_000, SHORT);
    tone.write_wav(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40..44].fill(0);
    assert_eq!(Sound::parse_wav(&bytes).unwrap(), tone);
    assert!(Sound::parse_wav(&bytes[..30]).is_err());
    assert!(Sound::parse_wav(b"ID3").is_err());
}

#[test]
fn g711_agrees_with_the_recommendation() {
    // Known pairs: silence, the smallest steps, and the ends of the range.
    assert_eq!((Law::Mu.encode(0), Law::A.encode(0)), (0xff, 0xd5));
    assert_eq!((Law::Mu.encode(-1), Law::A.encode(-1)), (0x7f, 0x55));
    assert_eq!(
        (Law::Mu.decode(0x00), Law::Mu.decode(0x80)),
        (-32_124, 32_124)
    );
    assert_eq!(
        (Law::A.decode(0x2a), Law::A.decode(0xaa)),
        (-32_256, 32_256)
    );
    for law in [Law::Mu, Law::A] {
        for byte in 0..=u8::MAX {
            let again = law.encode(law.decode(byte));
            // Minus zero of µ-law becomes zero.
            let minus_zero = law == Law::Mu && byte == 0x7f;
            assert!(again == byte || minus_zero, "{law:?} {byte:#x} {again:#x}");
        }
    }
}

#[test]
fn a_tone_survives_g711() {
    for law in [Law::Mu, Law::A] {
        let mut tone = Sound::tone(1_000, -12.0, 8_000, SHORT);
        for sample in &mut tone.samples {
            *sample = law.decode(law.encode(*sample));
        }
        let heard = tone.measure();
        heard.expect_tone(1_000).unwrap();
        heard.expect_level(-12.0).unwrap();
    }
}

#[test]
fn a_wait_for_a_tone_ends_with_it_or_with_its_source() {
    let tone = Sound::tone(440, -12.0, 8_000, SHORT);
    let heard = wait_tone("the phone", 440, || Ok(tone.clone())).unwrap();
    heard.expect_tone(440).unwrap();
    let ended = wait_tone("the phone", 440, || anyhow::bail!("the phone ended"));
    assert!(format!("{:#}", ended.unwrap_err()).contains("ended"));
}
