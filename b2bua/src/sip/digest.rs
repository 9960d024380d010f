//! Digest authentication as a client (RFC 3261 §22, RFC 7616, RFC 8760); `server` is the other side.
//!
//! A credential answers its own realm only, at most [`MAX_ROUNDS`] times for one request, and is
//! never shown by `Debug`. Hostile challenges are bounded and read by ourselves before the hashing
//! crate sees anything: its own reader panics on text that is not ASCII.

use std::borrow::Cow;
use std::fmt;

use digest_auth::{
    Algorithm as Hashing, AlgorithmType, AuthContext, Charset, HttpMethod, Qop,
    WwwAuthenticateHeader,
};
use tandem_shared::mint::Mint;

use super::header::Name;
use super::message::{Request, Response};
use super::status::Status;

pub mod challenge;
pub mod server;

pub use challenge::{Algorithm, Challenge, Protection};
pub use server::{Account, Guard, Verdict};

/// Who we are to a peer that asks.
#[derive(Clone)]
pub struct Credential {
    /// The user name.
    pub user: Box<str>,
    /// The password.
    pub password: Box<str>,
    /// The only realm this credential is for; the first one asked for when absent.
    pub realm: Option<Box<str>>,
}

/// Why a challenge is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denied {
    /// The response is no 401 or 407, or holds no challenge we can read.
    #[error("no usable challenge")]
    Unreadable,
    /// None of the algorithms is MD5, SHA-256 or SHA-512-256 with `auth`, `auth-int` or nothing.
    #[error("no supported algorithm or quality of protection")]
    Unsupported,
    /// The challenge is for another realm than the credential.
    #[error("challenge for another realm")]
    Realm,
    /// The answer was not accepted: the password is wrong.
    #[error("credentials rejected")]
    Rejected,
}

/// The state of authentication towards one peer.
#[derive(Debug)]
pub struct Digest {
    credential: Credential,
    /// The realm of the first challenge binds a credential that names none.
    realm: Option<Box<str>>,
    /// The challenges in use: that of the server, and that of a proxy before it. Each counts for
    /// itself, and a request may have to answer both (RFC 3261 §22.3).
    server: Option<Current>,
    proxy: Option<Current>,
}

/// A challenge in use.
#[derive(Debug)]
struct Current {
    challenge: Challenge,
    /// How often its nonce was used.
    uses: u32,
}

/// How often one request was sent with credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rounds {
    all: u8,
    /// Whether a challenge of the server, and of a proxy, was answered.
    answered: [bool; 2],
}

impl Digest {
    /// Not yet challenged.
    pub fn new(credential: Credential) -> Self {
        let realm = credential.realm.clone();
        Self {
            credential,
            realm,
            server: None,
            proxy: None,
        }
    }

    /// Adds credentials under the challenges known from earlier, which saves a round trip; does
    /// nothing before the first challenge. Call it when the body is there: the hash may cover it.
    pub fn authorize(&mut self, request: &mut Request, mint: &mut Mint) {
        for proxy in [false, true] {
            let current = match proxy {
                false => &mut self.server,
                true => &mut self.proxy,
            };
            let Some(known) = current else {
                continue;
            };
            if known.uses >= MAX_USES {
                *current = None;
            } else if let Some(value) = known.answer(&self.credential, request, mint) {
                request.headers.set(answer_name(proxy), &value);
            }
        }
    }

    /// Takes the challenge of a 401 or 407 and adds the answer to `request`, which the caller
    /// sends as a new transaction with the next CSeq.
    ///
    /// # Errors
    /// Why there is nothing to send again.
    pub fn answer(
        &mut self,
        response: &Response,
        request: &mut Request,
        rounds: &mut Rounds,
        mint: &mut Mint,
    ) -> Result<(), Denied> {
        let (name, proxy) = match response.status {
            Status::UNAUTHORIZED => (Name::WwwAuthenticate, false),
            Status::PROXY_AUTHENTICATION_REQUIRED => (Name::ProxyAuthenticate, true),
            _ => return Err(Denied::Unreadable),
        };
        let challenge = self.choose(response.headers.all(name))?;
        let tried = request.headers.get(answer_name(proxy));
        // The nonce of this very request: another one may have learnt of the new nonce meanwhile.
        let used = tried.and_then(|value| Challenge::parse(value).ok());
        let same_nonce = used.is_some_and(|used| used.nonce == challenge.nonce);
        if rounds.all >= MAX_ROUNDS || (same_nonce && !challenge.stale) {
            return Err(Denied::Rejected);
        }
        // An answer refused for more than an old nonce: the password is wrong, and asking again
        // would only lock the account. The first round may have been an authorization in advance.
        let [server, through] = &mut rounds.answered;
        let answered = if proxy { through } else { server };
        if tried.is_some() && *answered && !challenge.stale {
            return Err(Denied::Rejected);
        }
        *answered = true;
        rounds.all += 1;
        self.realm.get_or_insert_with(|| challenge.realm.clone());
        let current = Some(Current { challenge, uses: 0 });
        match proxy {
            false => self.server = current,
            true => self.proxy = current,
        }
        request.headers.remove(answer_name(proxy));
        self.authorize(request, mint);
        match request.headers.get(answer_name(proxy)) {
            Some(_) => Ok(()),
            None => Err(Denied::Unsupported),
        }
    }

    /// The topmost challenge we support (RFC 8760 §2.3), if it is for our realm.
    fn choose<'a>(&self, values: impl Iterator<Item = &'a str>) -> Result<Challenge, Denied> {
        let mut denied = Denied::Unreadable;
        for value in values.take(challenge::MAX_CHALLENGES) {
            match Challenge::parse(value) {
                Err(worse) => denied = worse,
                Ok(challenge)
                    if self
                        .realm
                        .as_ref()
                        .is_some_and(|ours| *ours != challenge.realm) =>
                {
                    denied = Denied::Realm;
                }
                Ok(challenge) => return Ok(challenge),
            }
        }
        Err(denied)
    }
}

impl Current {
    fn answer(
        &mut self,
        credential: &Credential,
        request: &Request,
        mint: &mut Mint,
    ) -> Option<String> {
        let challenge = &self.challenge;
        let mut prompt = WwwAuthenticateHeader {
            domain: None,
            realm: challenge.realm.to_string(),
            nonce: challenge.nonce.to_string(),
            opaque: challenge.opaque.as_ref().map(ToString::to_string),
            stale: challenge.stale,
            algorithm: Hashing::new(hashing(challenge.algorithm), challenge.session),
            qop: match challenge.protection {
                Protection::Legacy => None,
                Protection::Auth => Some(vec![Qop::AUTH]),
                Protection::AuthInt => Some(vec![Qop::AUTH_INT]),
            },
            userhash: false,
            charset: Charset::UTF8,
            nc: self.uses,
        };
        let mut context = AuthContext::new_with_method(
            credential.user.as_ref(),
            credential.password.as_ref(),
            request.uri.to_string(),
            Some(Cow::Borrowed(&*request.body)),
            HttpMethod::from(request.method.as_str()),
        );
        // The crate would draw random numbers itself otherwise.
        context.set_custom_cnonce(mint.token());
        let answer = prompt.respond(&context).ok()?;
        self.uses += 1;
        Some(answer.to_string())
    }
}

fn hashing(algorithm: Algorithm) -> AlgorithmType {
    match algorithm {
        Algorithm::Md5 => AlgorithmType::MD5,
        Algorithm::Sha256 => AlgorithmType::SHA2_256,
        Algorithm::Sha512Of256 => AlgorithmType::SHA2_512_256,
    }
}

fn answer_name(proxy: bool) -> Name<'static> {
    if proxy {
        Name::ProxyAuthorization
    } else {
        Name::Authorization
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// How often one request is sent again with credentials.
pub const MAX_ROUNDS: u8 = 2;
/// A nonce is given up long before its counter could overflow.
const MAX_USES: u32 = 1_000_000;

#[cfg(test)]
mod tests;
