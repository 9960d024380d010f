//! Session descriptions.

use tandem_b2bua::body::sdp::{MAX_LENGTH, Sdp};
use tandem_b2bua::sip::grammar;

/// A description that was read is written in clean lines and reads back as the same.
pub fn description(data: &[u8]) {
    let Ok(sdp) = Sdp::parse(data) else {
        return;
    };
    let written = sdp.to_string();
    for line in written.split("\r\n") {
        assert!(!line.contains(grammar::is_forbidden));
    }
    // What was said once for all streams is written for each, which may become too long to read.
    if written.len() <= MAX_LENGTH {
        assert_eq!(Sdp::parse(written.as_bytes()), Ok(sdp));
    }
}
