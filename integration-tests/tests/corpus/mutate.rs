//! Inputs close to a given one, the same for the same seed.

use integration_tests::simulation::random::Random;

/// Draws mutations; the other inputs of the target are what it splices from.
pub(crate) struct Mutations<'a> {
    random: Random,
    others: &'a [Vec<u8>],
}

impl<'a> Mutations<'a> {
    /// Mutations that follow from `seed`.
    pub(crate) fn new(seed: u64, others: &'a [Vec<u8>]) -> Self {
        Self {
            random: Random::new(seed),
            others,
        }
    }

    /// The next input close to `input`: one to four small changes.
    pub(crate) fn of(&mut self, input: &[u8]) -> Vec<u8> {
        let mut output = input.to_vec();
        for _ in 0..=self.random.below(4) {
            self.change(&mut output);
        }
        output
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let (start, end) = (
            self.random.below(bytes.len() + 1),
            self.random.below(bytes.len() + 1),
        );
        let (start, end) = (start.min(end), start.max(end));
        match self.random.below(7) {
            0 => self.replace(bytes, start, |random| random as u8),
            1 => self.replace(bytes, start, |random| {
                SPECIAL[random as usize % SPECIAL.len()]
            }),
            2 => drop(bytes.drain(start..end.min(start + 16))),
            3 => drop(bytes.drain(start..end)),
            4 => {
                let piece = bytes[start..end.min(start + 64)].to_vec();
                let times = self.random.below(8);
                bytes.splice(start..start, piece.repeat(times));
            }
            5 => {
                let token = TOKENS[self.random.below(TOKENS.len())];
                bytes.splice(start..start, token.iter().copied());
            }
            _ => {
                let other = &self.others[self.random.below(self.others.len())];
                let from = self.random.below(other.len() + 1);
                let piece = &other[from..(from + 200).min(other.len())];
                bytes.splice(start..end, piece.iter().copied());
            }
        }
    }

    fn replace(&mut self, bytes: &mut [u8], at: usize, with: impl Fn(u64) -> u8) {
        let random = self.random.number();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = with(random);
        }
    }
}

/// Bytes that mean something to one of the grammars.
const SPECIAL: &[u8] = b"\0\t\n\r \"%&'()*+,-./0:;<=>?@[\\]^_`{|}~\x7f\x80\xc3\xff";

/// What one of the grammars looks for, and what breaks careless readers.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n--\n",
    b"%00",
    b"%0d%0a",
    b"%40",
    b"\\40",
    b"\\5c",
    b"\xef\xbb\xbf",
    b"\xc3\xbc",
    b"\xf0\x9f\x91\x8d",
    b"\xed\xa0\x80",
    b"&#0;",
    b"&lt;",
    b"<![CDATA[",
    b"]]>",
    b"<x>",
    b"</x>",
    b"<!--",
    b"18446744073709551616",
    b"4294967295",
    b"-1",
    b"99999999999",
    b";tag=",
    b";branch=z9hG4bK",
    b"sip:",
    b"sips:",
    b"tel:",
    b"Content-Length: ",
    b"l: 9\r\n",
    b"\\u0000",
    b"[::1]",
    b"xn--",
    b"\"",
    b"!down\n--\n!up",
    b"+600000",
    b"null",
    b"[]",
];
