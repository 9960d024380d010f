//! Digest authentication as a server (RFC 3261 §22.1, RFC 7616 §3.3 and §3.4, RFC 8760 §2).
//!
//! A nonce keeps no state: it is a time, a number and a hash of both and of the source, keyed with what
//! this process alone knows. It is good for [`LIFE`] and for its source. Only of nonces that were used
//! with the right password is anything remembered, so that nothing is taken twice; whoever does not
//! know the password makes nothing grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use digest_auth::{Algorithm as Hashing, AlgorithmType};
use tandem_shared::mint;

use super::challenge::{Algorithm, find, read_algorithm};
use super::hashing;
use crate::sip::grammar;
use crate::sip::header::Name;
use crate::sip::message::Request;

/// One who may come in.
#[derive(Clone)]
pub struct Account {
    /// Whom the owner of the endpoint knows by it.
    pub number: usize,
    /// The user name.
    pub user: Box<str>,
    /// The password.
    pub password: Box<str>,
}

/// Neither name nor password.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.number)
    }
}

/// What a request proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is of this account.
    Known(usize),
    /// Nothing: it has no credentials for us.
    Nothing,
    /// That its sender knows the password, but the nonce is too old, not of this process, or was used.
    Stale,
    /// That its sender does not know the password, or that there is no such user.
    Wrong,
}

/// Asks for credentials and checks them.
pub struct Guard {
    accounts: Vec<Account>,
    realm: Box<str>,
    /// The best first.
    algorithms: Vec<Algorithm>,
    key: [u8; 16],
    /// From when on time is counted.
    epoch: Option<Instant>,
    /// How many nonces were made.
    made: u32,
    /// How nonces were used, by their number.
    used: BTreeMap<u32, Used>,
    /// Of nonces up to this number nothing is remembered any more.
    forgotten: u32,
}

/// Without its key.
impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({} accounts)", self.accounts.len())
    }
}

/// Which counts of a nonce were used.
#[derive(Debug, Default)]
struct Used {
    highest: u32,
    /// Bit `n`: the count `n` below the highest one.
    below: u64,
}

/// Credentials (RFC 7616 §3.4).
struct Answer {
    user: Box<str>,
    realm: Box<str>,
    nonce: Box<str>,
    uri: Box<str>,
    response: Box<str>,
    algorithm: Algorithm,
    /// The count and the client's nonce; nothing of those who speak RFC 2069.
    counted: Option<(Box<str>, Box<str>)>,
}

impl Guard {
    /// Lets in `accounts` of `realm`; nonces are made with `key`, which no other process has.
    #[must_use]
    pub fn new(accounts: Vec<Account>, realm: &str, key: [u8; 16]) -> Self {
        Self {
            accounts,
            realm: realm.into(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            key,
            epoch: None,
            made: 0,
            used: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// The same with other algorithms, the best first.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Whether anybody could ever be let in.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.accounts.is_empty()
    }

    /// What `source` is asked: one challenge for each algorithm, the better one first (RFC 8760 §2.4).
    pub fn challenge(&mut self, source: IpAddr, stale: bool, now: Instant) -> Vec<String> {
        self.made = self.made.saturating_add(1);
        let nonce = self.nonce(self.seconds(now), self.made, source);
        let challenge = |algorithm: &Algorithm| {
            let algorithm = algorithm.as_str();
            let mut text = "Digest realm=".to_owned();
            grammar::push_quoted(&mut text, &self.realm);
            let _ = write!(
                text,
                ", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}"
            );
            if stale {
                text.push_str(", stale=true");
            }
            text
        };
        self.algorithms.iter().map(challenge).collect()
    }

    /// What `request`, which came from `source`, proves.
    pub fn check(&mut self, request: &Request, source: IpAddr, now: Instant) -> Verdict {
        let answer = match self.find_answer(request) {
            None => return Verdict::Nothing,
            Some(Err(Unreadable)) => return Verdict::Wrong,
            Some(Ok(answer)) if !self.algorithms.contains(&answer.algorithm) => {
                return Verdict::Wrong;
            }
            Some(Ok(answer)) => answer,
        };
        let account = self.accounts.iter().find(|it| it.user == answer.user);
        // Who asks for users that do not exist waits as long as for others.
        let password = account.map_or("", |account| &account.password);
        let wanted = answer.hash(password, request.method.as_str());
        let right = is_same(wanted.as_bytes(), answer.response.as_bytes());
        let Some(number) = account.map(|account| account.number).filter(|_| right) else {
            return Verdict::Wrong;
        };
        let count = match &answer.counted {
            Some((count, _)) => u32::from_str_radix(count, 16).unwrap_or_default(),
            None => 1,
        };
        let nonce = self.read_nonce(&answer.nonce, source, now);
        match nonce.is_some_and(|nonce| self.take(nonce, count)) {
            true => Verdict::Known(number),
            false => Verdict::Stale,
        }
    }

    /// Whether `request` answers a challenge of ours that is good still: then what goes to `source` arrives
    /// there, and nobody has forged its address, whether the password is right or not.
    #[must_use]
    pub fn has_reached(&self, request: &Request, source: IpAddr, now: Instant) -> bool {
        let answer = self.find_answer(request).and_then(Result::ok);
        answer.is_some_and(|answer| self.read_nonce(&answer.nonce, source, now).is_some())
    }

    /// The first credentials for us, or that there are some nobody can read.
    fn find_answer(&self, request: &Request) -> Option<Result<Answer, Unreadable>> {
        let fields = request.headers.all(Name::Authorization).take(MAX_ANSWERS);
        let mut answers = fields.filter_map(|field| match Answer::read(field) {
            Ok(answer) => (answer.realm == self.realm).then_some(Ok(answer)),
            Err(unreadable) => Some(Err(unreadable)),
        });
        answers.next()
    }

    /// Takes note of a count of a nonce; false when it was used already, or nobody knows.
    fn take(&mut self, nonce: u32, count: u32) -> bool {
        if count == 0 || (nonce <= self.forgotten && !self.used.contains_key(&nonce)) {
            return false;
        }
        let fresh = self.used.entry(nonce).or_default().take(count);
        while self.used.len() > MAX_USED {
            if let Some((oldest, _)) = self.used.pop_first() {
                self.forgotten = self.forgotten.max(oldest);
            }
        }
        fresh
    }

    fn nonce(&self, seconds: u32, number: u32, source: IpAddr) -> String {
        let source = match source.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let parts = [
            &seconds.to_be_bytes()[..],
            &number.to_be_bytes(),
            &source.octets(),
        ];
        let hash = mint::base32(mint::hash(&self.key, &parts));
        format!("{seconds:08x}{number:08x}{hash}")
    }

    /// The number of a nonce of ours that is still good.
    fn read_nonce(&self, text: &str, source: IpAddr, now: Instant) -> Option<u32> {
        let number = |from: usize| u32::from_str_radix(text.get(from..from + 8)?, 16).ok();
        let (seconds, number) = (number(0)?, number(8)?);
        let ours = self.nonce(seconds, number, source);
        let age = self.seconds(now).checked_sub(seconds)?;
        let good = is_same(ours.as_bytes(), text.as_bytes()) && u64::from(age) < LIFE.as_secs();
        good.then_some(number)
    }

    fn seconds(&self, now: Instant) -> u32 {
        let since = self.epoch.map(|epoch| now.saturating_duration_since(epoch));
        u32::try_from(since.unwrap_or_default().as_secs()).unwrap_or(u32::MAX)
    }

    /// Time goes by; the first that is told is where it begins.
    pub fn begin(&mut self, now: Instant) {
        self.epoch.get_or_insert(now);
    }
}

impl Used {
    /// Takes note of `count`; false when it was used already, or is too far below the highest to know.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let by = count - self.highest;
            self.below = self.below.checked_shl(by).unwrap_or_default() | 1;
            self.highest = count;
            return true;
        }
        let Some(bit) = 1_u64.checked_shl(self.highest - count) else {
            return false;
        };
        let fresh = self.below & bit == 0;
        self.below |= bit;
        fresh
    }
}

/// Credentials that make no sense.
struct Unreadable;

impl Answer {
    fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > MAX_LEN || text.contains(grammar::is_forbidden) {
            return Err(Unreadable);
        }
        let (scheme, rest) = grammar::trim(text)
            .split_once([' ', '\t'])
            .ok_or(Unreadable)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(Unreadable);
        }
        let field = |name: &str| find(rest, name);
        let needed = |name: &str| field(name).ok_or(Unreadable);
        let algorithm = field("algorithm");
        let (algorithm, session) =
            read_algorithm(algorithm.as_deref().unwrap_or("MD5")).map_err(|_| Unreadable)?;
        let counted = match field("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                Some((needed("nc")?, needed("cnonce")?))
            }
            // RFC 8760 §2.6: only the old algorithm goes without.
            None if algorithm == Algorithm::Md5 => None,
            Some(_) | None => return Err(Unreadable),
        };
        // Nobody is asked for that.
        if session {
            return Err(Unreadable);
        }
        Ok(Self {
            user: needed("username")?,
            realm: needed("realm")?,
            nonce: needed("nonce")?,
            uri: needed("uri")?,
            response: needed("response")?.to_ascii_lowercase().into(),
            algorithm,
            counted,
        })
    }

    /// What the response would be with this password (RFC 7616 §3.4.1).
    fn hash(&self, password: &str, method: &str) -> String {
        let kind: AlgorithmType = hashing(self.algorithm);
        let hash = |text: &str| Hashing::new(kind, false).hash_str(text);
        let secret = hash(&format!("{}:{}:{password}", self.user, self.realm));
        let request = hash(&format!("{method}:{}", self.uri));
        match &self.counted {
            Some((count, client)) => hash(&format!(
                "{secret}:{}:{count}:{client}:auth:{request}",
                self.nonce
            )),
            None => hash(&format!("{secret}:{}:{request}", self.nonce)),
        }
    }
}

/// Compares without telling by the time it takes where two texts differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differ) == 0
}

/// How long a nonce is good.
pub const LIFE: Duration = Duration::from_secs(300);
/// Longest credentials read, in bytes.
const MAX_LEN: usize = 4096;
/// Most credentials of one request looked at.
const MAX_ANSWERS: usize = 8;
/// Most nonces whose use is remembered.
const MAX_USED: usize = 4096;

#[cfg(test)]
mod tests;
