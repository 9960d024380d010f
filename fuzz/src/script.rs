//! Inputs for a whole core: a script of steps, readable and good to mutate.
//!
//! Steps are divided by a line that holds `--`. What a step says follows from its first byte.

use std::time::Duration;

/// One input to a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// `{`: JSON of an envelope from the other node.
    Envelope(&'a [u8]),
    /// `+250`: so many milliseconds pass.
    Pass(Duration),
    /// `!up`, `!down`, `!open`, `!close`, `!answer`: something happens to a link or a peer.
    Happens(&'a [u8]),
    /// Anything else comes from the network.
    Bytes(&'a [u8]),
}

/// The steps of `data`, at most [`STEPS_MAX`].
pub fn steps(data: &[u8]) -> impl Iterator<Item = Step<'_>> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let text = rest?;
        let found = text
            .windows(DIVIDER.len())
            .position(|window| window == DIVIDER);
        let (step, behind) = match found {
            Some(at) => (&text[..at], Some(&text[at + DIVIDER.len()..])),
            None => (text, None),
        };
        rest = behind;
        Some(read(step))
    })
    .take(STEPS_MAX)
}

fn read(step: &[u8]) -> Step<'_> {
    match step {
        [b'{', ..] => Step::Envelope(step),
        [b'!', event @ ..] => Step::Happens(event),
        [b'+', digits @ ..] => {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            let millis: u64 = text.trim().parse().unwrap_or(1000);
            Step::Pass(Duration::from_millis(millis.min(DAY_MS)))
        }
        _ => Step::Bytes(step),
    }
}

const DIVIDER: &[u8] = b"\n--\n";
/// More steps only make an input slow.
const STEPS_MAX: usize = 64;
const DAY_MS: u64 = 24 * 3600 * 1000;
