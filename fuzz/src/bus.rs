//! The bus: frames and envelopes of a peer that means no good (specs Z07).

use tandem_shared::bus::Envelope;
use tandem_shared::bus::frame::{self, FrameError};

/// Frames are cut the same wherever a read ends, and an envelope that was read is written and read
/// again as the same. Each target also takes bytes that are no frame as the JSON of one.
pub fn frame(data: &[u8]) {
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(data) {
        check_ours(&envelope);
    }
    let mut rest = data;
    loop {
        match frame::decode(rest) {
            Ok(Some((envelope, taken))) => {
                assert!((4..=rest.len()).contains(&taken));
                assert_eq!(frame::decode(&rest[..taken - 1]), Ok(None));
                check_ours(&envelope);
                rest = &rest[taken..];
            }
            Ok(None) => return,
            Err(FrameError::TooLarge | FrameError::NotAnEnvelope) => return,
        }
    }
}

/// An envelope survives the bus.
pub fn check_ours(envelope: &Envelope) {
    let mut bytes = Vec::new();
    if frame::encode(envelope, &mut bytes).is_err() {
        assert!(bytes.is_empty());
        return;
    }
    let Ok(Some((read, taken))) = frame::decode(&bytes) else {
        panic!("an envelope was written that cannot be read");
    };
    assert_eq!((&read, taken), (envelope, bytes.len()));
}
