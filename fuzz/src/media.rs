//! Datagrams on the ports of a call (RFC 7983): sound, reports, keys, checks of ICE, records of DTLS.

use std::time::{Duration, Instant};

use tandem_b2bua::shell::media::trial::{Phone, Place, Trial};
use tandem_b2bua::shell::media::{Kind, classify};

/// Records of an input, after the first byte, which says how the phone protects its packets: where one
/// comes from, its length in two bytes, and that many bytes. An unknown place lets time pass instead.
pub fn call(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else {
        return;
    };
    let phone = match first % 4 {
        0 => Phone::Plain,
        1 => Phone::Keys,
        2 => Phone::Dtls { active: true },
        _ => Phone::Dtls { active: false },
    };
    let mut trial = Trial::new(phone, Instant::now());
    for _ in 0..RECORDS {
        let Some((head, behind)) = rest.split_first_chunk::<3>() else {
            break;
        };
        let [place, high, low] = *head;
        let number = u16::from_be_bytes([high, low]);
        let place = match place {
            b's' => Place::Sound,
            b'r' => Place::Reports,
            b'c' => Place::Client,
            b'x' => Place::Stranger,
            b'y' => Place::StrangerAtClient,
            _ => {
                trial.pass(Duration::from_millis(number.into()));
                rest = behind;
                continue;
            }
        };
        let length = usize::from(number).min(behind.len());
        let (bytes, behind) = behind.split_at(length);
        rest = behind;
        let is_known = classify(bytes) != Kind::Other;
        assert!(
            is_known
                || bytes
                    .first()
                    .is_none_or(|byte| (4..20).contains(byte) || *byte >= 64)
                || bytes.len() < 2
        );
        trial.receive(place, bytes);
    }
    trial.pass(Duration::from_secs(1));
    trial.release();
}

/// More only make an input slow.
const RECORDS: usize = 64;
