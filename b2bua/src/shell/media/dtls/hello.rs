//! Which version of DTLS a ClientHello asks for (RFC 9147 §5.3).
//!
//! Only looked at, never believed: the handshake itself decides. A hello with a key share that withstands quantum
//! computers takes two datagrams, of which only the second may tell the versions. What stays unclear is taken for
//! 1.2, which every client of these days knows.

/// Whether these datagrams, the first that came, begin with a ClientHello that offers 1.3; nothing while that
/// takes another datagram to tell.
pub(super) fn offers_thirteen(datagrams: &[Vec<u8>]) -> Option<bool> {
    let mut fragments: Vec<_> = datagrams.iter().flat_map(|it| fragments(it)).collect();
    fragments.sort_by_key(|fragment| fragment.offset);
    let mut hello = Vec::new();
    for fragment in &fragments {
        if let Some(new) = hello.len().checked_sub(fragment.offset) {
            hello.extend_from_slice(fragment.body.get(new..).unwrap_or_default());
        }
    }
    if let Some(versions) = versions(&hello) {
        return Some(versions.chunks_exact(2).any(|it| it == THIRTEEN));
    }
    let is_more = fragments.first().is_some_and(|it| hello.len() < it.whole);
    (!is_more || datagrams.len() >= MOST).then_some(false)
}

/// A part of a ClientHello.
struct Fragment<'a> {
    /// How long the ClientHello is.
    whole: usize,
    /// Where in it this stands.
    offset: usize,
    body: &'a [u8],
}

fn fragments(datagram: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let mut rest = Reader(datagram);
    std::iter::from_fn(move || fragment(&mut rest))
}

/// The part in the next record, if there is one.
fn fragment<'a>(rest: &mut Reader<'a>) -> Option<Fragment<'a>> {
    // Record: type, version, epoch and number, length.
    if rest.take(1)? != [HANDSHAKE] {
        return None;
    }
    rest.take(10)?;
    let length = rest.number(2)?;
    let mut record = Reader(rest.take(length)?);
    // Handshake: type, length, sequence, offset and length of the fragment.
    if record.take(1)? != [CLIENT_HELLO] {
        return None;
    }
    let whole = record.number(3)?;
    record.take(2)?;
    let (offset, length) = (record.number(3)?, record.number(3)?);
    let body = record.take(length)?;
    Some(Fragment {
        whole,
        offset,
        body,
    })
}

/// The list of `supported_versions` in a ClientHello, or in the beginning of one.
fn versions(hello: &[u8]) -> Option<&[u8]> {
    let mut rest = Reader(hello);
    // Version and random; session, cookie, suites, compressions; extensions.
    rest.take(34)?;
    for octets in [1, 1, 2, 1] {
        let length = rest.number(octets)?;
        rest.take(length)?;
    }
    rest.take(2)?;
    loop {
        let (kind, length) = (rest.number(2)?, rest.number(2)?);
        let mut body = Reader(rest.take(length)?);
        if kind == SUPPORTED_VERSIONS {
            let length = body.number(1)?;
            return body.take(length);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, octets: usize) -> Option<usize> {
        let bytes = self.take(octets)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    }
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SUPPORTED_VERSIONS: usize = 43;
const THIRTEEN: [u8; 2] = [0xfe, 0xfc];
/// Datagrams after which no more are waited for.
const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([0, 0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        body
    }

    /// The record of the part `at` of a ClientHello.
    fn record(body: &[u8], at: std::ops::Range<usize>) -> Vec<u8> {
        let three = |number: usize| (number as u32).to_be_bytes();
        let part = &body[at.clone()];
        let mut message = vec![1];
        message.extend(&three(body.len())[1..]);
        message.extend([0, 0]);
        message.extend(&three(at.start)[1..]);
        message.extend(&three(part.len())[1..]);
        message.extend(part);
        let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
        record.extend((message.len() as u16).to_be_bytes());
        record.extend(message);
        record
    }

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let body = body(extensions);
        record(&body, 0..body.len())
    }

    const BOTH: [u8; 13] = [0, 23, 0, 0, 0, 43, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd];

    #[test]
    fn a_version_is_found_among_others() {
        let old = hello(&[0, 23, 0, 0, 0, 43, 0, 3, 2, 0xfe, 0xfd]);
        for (hello, thirteen) in [
            (hello(&BOTH), true),
            (old, false),
            (hello(&[0, 23, 0, 0]), false),
        ] {
            assert_eq!(offers_thirteen(&[hello]), Some(thirteen));
        }
    }

    /// A key share of more than a datagram before the versions.
    #[test]
    fn a_version_is_found_in_a_later_fragment() {
        let mut extensions = vec![0, 51, 0x05, 0];
        extensions.extend([9; 0x500]);
        extensions.extend(BOTH);
        let body = body(&extensions);
        let (first, second) = (record(&body, 0..1100), record(&body, 1100..body.len()));
        assert_eq!(offers_thirteen(std::slice::from_ref(&first)), None);
        assert_eq!(offers_thirteen(std::slice::from_ref(&second)), None);
        let both = [first.clone(), second.clone()];
        assert_eq!(offers_thirteen(&both), Some(true));
        let other = [second.clone(), second.clone(), first.clone()];
        assert_eq!(offers_thirteen(&other), Some(true));
        let in_one = [first.as_slice(), &second].concat();
        assert_eq!(offers_thirteen(&[in_one]), Some(true));
        // Without the rest there is an end of waiting.
        let again = vec![first; MOST];
        assert_eq!(offers_thirteen(&again[1..]), None);
        assert_eq!(offers_thirteen(&again), Some(false));
    }

    #[test]
    fn what_is_cut_off_or_spoiled_is_no_offer() {
        let whole = hello(&[0, 43, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd]);
        for length in 0..whole.len() {
            let cut = offers_thirteen(&[whole[..length].to_vec()]);
            assert_eq!(cut, Some(false), "of {length} octets");
        }
        for place in 0..whole.len() {
            let mut spoiled = whole.clone();
            spoiled[place] = 255;
            // Whatever comes of it, nothing panics.
            let _ = offers_thirteen(&[spoiled]);
        }
    }
}
