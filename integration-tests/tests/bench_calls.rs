//! The bench proves itself for calls: each peer calls another and hears it, all without Tandem.

use anyhow::{Result, ensure};
use integration_tests::baresip::{Answer, Baresip, Codec, Encryption, Setup, Transport};
use integration_tests::kamailio::{Kamailio, Setup as KamailioSetup};
use integration_tests::{Bench, isolated};

#[test]
fn phones_hear_each_other_through_the_registrar() -> Result<()> {
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let (mut carol, mut dave) = start_phones(bench, Setup::default())?;

        carol.dial("sip:dave@sip.test")?;
        ensure!(dave.wait_incoming()? == "sip:carol@sip.test");
        carol.wait_ringing()?;
        dave.accept()?;
        carol.wait_established()?;
        dave.wait_established()?;
        carol.wait_tone(880)?.expect_level(TONE_OF_A_PHONE)?;
        dave.wait_tone(440)?.expect_level(TONE_OF_A_PHONE)?;

        carol.press("12#")?;
        dave.wait_keys("12#")?;

        carol.hold()?;
        dave.wait_event("CALL_REMOTE_SDP")?;
        carol.resume()?;
        dave.wait_tone(440)?;
        carol.wait_tone(880)?;

        carol.hang_up()?;
        dave.wait_closed().map(drop)
    })
}

#[test]
fn phones_hear_each_other_in_every_way_to_carry_a_call() -> Result<()> {
    let usual = Setup {
        answer: Answer::Auto,
        ..Setup::default()
    };
    let ways = [
        (
            "wideband over TCP",
            Setup {
                codecs: &[Codec::Opus],
                transport: Transport::Tcp,
                ..usual
            },
        ),
        (
            "keys in SDP over TLS",
            Setup {
                codecs: &[Codec::G722],
                transport: Transport::Tls,
                encryption: Encryption::Mandatory,
                ..usual
            },
        ),
        (
            "DTLS and ICE",
            Setup {
                codecs: &[Codec::Pcmu],
                encryption: Encryption::Dtls,
                ice: true,
                ..usual
            },
        ),
    ];
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        for (way, setup) in ways {
            let (mut carol, mut dave) = start_phones(bench, setup)?;
            carol.dial("sip:dave@sip.test")?;
            carol.wait_established()?;
            carol.wait_tone(880).map_err(|error| error.context(way))?;
            dave.wait_tone(440).map_err(|error| error.context(way))?;
        }
        Ok(())
    })
}

#[test]
fn a_phone_refuses_and_one_describes_its_media_early() -> Result<()> {
    isolated(|bench| {
        let _registrar = Kamailio::start(bench, KamailioSetup::default())?;
        let (mut carol, mut dave) = start_phones(bench, Setup::default())?;
        carol.dial("sip:dave@sip.test")?;
        dave.wait_incoming()?;
        dave.hang_up()?;
        let reason = carol.wait_closed()?;
        ensure!(reason.starts_with("486"), "closed with {reason}");
        drop(dave);

        let early = Setup {
            index: 1,
            user: "dave",
            answer: Answer::Early,
            ..Setup::default()
        };
        let mut dave = Baresip::start_with(bench, early)?;
        carol.dial("sip:dave@sip.test")?;
        carol.wait_progress()?;
        dave.accept()?;
        carol.wait_established()?;
        dave.wait_tone(440).map(drop)
    })
}

/// Carol with 440 Hz and dave with 880 Hz.
fn start_phones(bench: &Bench, setup: Setup<'_>) -> Result<(Baresip, Baresip)> {
    let carol = Baresip::start_with(
        bench,
        Setup {
            answer: Answer::Manual,
            ..setup
        },
    )?;
    let dave = Baresip::start_with(
        bench,
        Setup {
            index: 1,
            user: "dave",
            tone: Some(880),
            ..setup
        },
    )?;
    Ok((carol, dave))
}

/// What baresip's sine is as loud as.
const TONE_OF_A_PHONE: f64 = -6.0;
