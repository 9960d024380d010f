//! How packets of the SIP leg are protected, as its descriptions say (RFC 4568, RFC 5763, RFC 8643).

use tandem_shared::media::Setup;

use super::{Demand, NoAgreement, Policy, Srtp, role};
use crate::body::sdp::{Crypto, MediaLine, Profile, SUITES};
use crate::media::{Fingerprint, Key, Protection, SipLocal};

/// Writes what the policy proposes into a line of a first offer.
pub(super) fn propose(line: &mut MediaLine, local: &SipLocal, policy: &Policy) {
    line.profile = match (policy.srtp, policy.demand) {
        (Srtp::Off, _) | (_, Demand::Prefer) => Profile::Avp,
        (Srtp::Sdes, Demand::Require) => Profile::Savp,
        (Srtp::Dtls, Demand::Require) => Profile::DtlsSavp,
    };
    match policy.srtp {
        Srtp::Off => {}
        Srtp::Sdes => {
            let keys = local.keys.iter().filter(|key| is_known(&key.suite));
            line.crypto = keys
                .zip(1..)
                .map(|(key, tag)| Crypto::of(tag, key))
                .collect();
        }
        Srtp::Dtls => {
            line.fingerprints = vec![local.fingerprint.clone()];
            line.setup = Some(Setup::Actpass);
            line.rtcp_mux = true;
        }
    }
}

/// Writes the answer to `offered` into `line`. Whatever protection is offered is taken rather than
/// none; the policy says which first, and whether plain packets will do.
pub(super) fn answer(
    offered: &MediaLine,
    line: &mut MediaLine,
    local: &SipLocal,
    policy: &Policy,
    before: Option<&Protection>,
) -> Result<Protection, NoAgreement> {
    let (by_key, by_dtls) = match offered.profile {
        Profile::DtlsSavp | Profile::DtlsSavpf => (false, true),
        Profile::Savp | Profile::Savpf => (true, true),
        Profile::Avp | Profile::Avpf => {
            let wanted = policy.srtp != Srtp::Off;
            (wanted, wanted)
        }
        Profile::Other(_) => return Err(NoAgreement::Audio),
    };
    let sdes = by_key.then(|| answered_key(offered, local)).flatten();
    let dtls = by_dtls.then(|| digest(offered)).flatten();
    line.profile = offered.profile.clone();
    if let Some(fingerprint) = dtls
        && (policy.srtp == Srtp::Dtls || sdes.is_none())
    {
        let ours = role::answer(offered.setup, kept(before, fingerprint), Setup::Active);
        line.fingerprints = vec![local.fingerprint.clone()];
        line.setup = Some(ours);
        return Ok(Protection::Dtls {
            fingerprint: fingerprint.clone(),
            setup: role::reversed(ours),
        });
    }
    if let Some((tag, ours, theirs)) = sdes {
        line.crypto = vec![Crypto::of(tag, &ours)];
        return Ok(Protection::Sdes { ours, theirs });
    }
    plain(line, policy)
}

/// Takes the answer to our line.
pub(super) fn accept(
    ours: &MediaLine,
    answered: &MediaLine,
    policy: &Policy,
    before: Option<&Protection>,
) -> Result<Protection, NoAgreement> {
    let pair = |theirs: &Crypto| {
        let mine = ours.crypto.iter().find(|mine| mine.tag == theirs.tag)?;
        let (mine, theirs) = (mine.key()?, theirs.key()?);
        (mine.suite == theirs.suite).then_some(Protection::Sdes { ours: mine, theirs })
    };
    if let Some(keys) = answered.crypto.iter().find_map(pair) {
        return Ok(keys);
    }
    if let Some(fingerprint) = digest(answered).filter(|_| !ours.fingerprints.is_empty()) {
        return Ok(Protection::Dtls {
            fingerprint: fingerprint.clone(),
            setup: role::accepted(answered.setup, kept(before, fingerprint)),
        });
    }
    plain(ours, policy)
}

/// No protection, where line and policy do without.
fn plain(line: &MediaLine, policy: &Policy) -> Result<Protection, NoAgreement> {
    if line.profile.is_secure() || policy.requires() {
        return Err(NoAgreement::Security);
    }
    Ok(Protection::Plain)
}

/// The first offered key that we have a key for: its tag, ours, theirs.
fn answered_key(offered: &MediaLine, local: &SipLocal) -> Option<(u32, Key, Key)> {
    offered.crypto.iter().find_map(|crypto| {
        let theirs = crypto.key()?;
        let ours = local.keys.iter().find(|ours| ours.suite == theirs.suite)?;
        Some((crypto.tag, ours.clone(), theirs))
    })
}

/// The digest that is checked.
fn digest(line: &MediaLine) -> Option<&Fingerprint> {
    line.fingerprints.iter().find(|print| print.hash == HASH)
}

/// The other side's role, if its connection goes on: with another certificate it is a new one.
fn kept(before: Option<&Protection>, fingerprint: &Fingerprint) -> Option<Setup> {
    match before? {
        Protection::Dtls {
            fingerprint: known,
            setup,
        } if known == fingerprint => Some(*setup),
        Protection::Plain | Protection::Sdes { .. } | Protection::Dtls { .. } => None,
    }
}

fn is_known(suite: &str) -> bool {
    SUITES.iter().any(|(name, _)| *name == suite)
}

/// The only digest that is taken: the older ones are broken, the longer ones not in use.
pub(super) const HASH: &str = "sha-256";
