//! A message's place in its conversation.

use super::recent::Recent;
use std::time::{Duration, Instant};
use tandem_shared::address::Address;
use tandem_shared::message::Ordinal;
use tandem_shared::mint::{self, Mint};

/// How long a silent conversation keeps its count.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// How many conversations are counted at once; the oldest begin anew.
const MAX: usize = 100_000;

/// Counts the messages of each conversation, which is a pair of accounts and a thread.
#[derive(Debug)]
pub struct Numbering {
    conversations: Recent<u128, Ordinal>,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            conversations: Recent::new(KEEP, MAX),
        }
    }
}

impl Numbering {
    /// The place of the next message from `from` to `to` in `thread`. A conversation that begins
    /// anew gets a new epoch, so that no place is ever given twice.
    pub fn next(
        &mut self,
        from: &Address,
        to: &Address,
        thread: Option<&str>,
        mint: &mut Mint,
        now: Instant,
    ) -> Ordinal {
        let parts = [&from.user, &from.host, &to.user, &to.host];
        let mut parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        parts.extend(thread.map(str::as_bytes));
        let key = mint::hash(&[0; 16], &parts);
        let last = self.conversations.get(&key, now).copied();
        let ordinal = match last {
            Some(Ordinal { epoch, number }) if number < i32::MAX.unsigned_abs() => Ordinal {
                epoch,
                number: number + 1,
            },
            _ => Ordinal {
                // Halved so that it is exact in every JSON reader's integers.
                epoch: u64::try_from(mint.number() >> 75).unwrap_or(0),
                number: 1,
            },
        };
        self.conversations.insert(key, ordinal, now);
        ordinal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_conversation_counts_by_itself() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let a = Address::new("a", "example.com").unwrap();
        let b = Address::new("b", "example.net").unwrap();
        let (mut numbering, mut mint) = (Numbering::default(), Mint::new([0; 16]));
        let first = numbering.next(&a, &b, None, &mut mint, now);
        let second = numbering.next(&a, &b, None, &mut mint, now);
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!(first.epoch, second.epoch);
        let threaded = numbering.next(&a, &b, Some("t"), &mut mint, now);
        assert_eq!(threaded.number, 1);
        assert_ne!(threaded.epoch, first.epoch);
    }
}
