//! DTLS-SRTP (RFC 5764): a handshake whose keys are used only if the certificate is the announced one.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dimpl::{Config, Dtls, DtlsCertificate, KeyingMaterial, Output, SrtpProfile};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::srtp::{Guard, Master, Suite};
use crate::media::{Failure, Fingerprint};

/// This process's certificate; a new one at each start.
#[derive(Clone)]
pub(super) struct Certificate {
    own: DtlsCertificate,
    config: Arc<Config>,
    /// Its digest as descriptions tell it.
    pub(super) fingerprint: Fingerprint,
}

impl Certificate {
    pub(super) fn generate() -> anyhow::Result<Self> {
        let own = dimpl::certificate::generate_self_signed_certificate()?;
        let fingerprint = Fingerprint {
            hash: "sha-256".to_owned(),
            value: colons(&Sha256::digest(&own.certificate)),
        };
        let config = Config::builder().mtu(MTU).build()?;
        Ok(Self {
            own,
            config: Arc::new(config),
            fingerprint,
        })
    }
}

/// One handshake and, after it, the association that keeps answering.
pub(super) struct Handshake {
    dtls: Dtls,
    expected: Fingerprint,
    active: bool,
    authentic: bool,
    deadline: Option<Instant>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Connected,
    Failed,
}

/// What comes out of a handshake.
pub(super) enum Step {
    /// To be sent to the other side.
    Packet(Bytes),
    /// Done: what packets go through from now on.
    Keys(Guard),
    /// Over.
    Failed(Failure),
}

impl Handshake {
    /// A handshake with the side that has the certificate `expected`; `active`: we begin.
    pub(super) fn new(
        certificate: &Certificate,
        expected: Fingerprint,
        active: bool,
        now: Instant,
    ) -> Self {
        let config = Arc::clone(&certificate.config);
        let mut dtls = Dtls::new_auto(config, certificate.own.clone(), now);
        dtls.set_active(active);
        Self {
            dtls,
            expected,
            active,
            authentic: false,
            deadline: None,
            state: State::Running,
        }
    }

    /// Whether this handshake will do for that certificate and role.
    pub(super) fn is_with(&self, expected: &Fingerprint, active: bool) -> bool {
        let role = self.active == active || self.state == State::Connected;
        role && self.state != State::Failed && self.expected == *expected
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// A record came.
    pub(super) fn handle_packet(&mut self, packet: &[u8], now: Instant, out: &mut Vec<Step>) {
        if self.state == State::Failed {
            return;
        }
        let result = self
            .dtls
            .handle_timeout(now)
            .and_then(|()| self.dtls.handle_packet(packet));
        self.settle(result, out);
    }

    /// Begins, or repeats what was lost.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Step>) {
        if self.state == State::Failed {
            return;
        }
        let result = self.dtls.handle_timeout(now);
        self.settle(result, out);
    }

    /// Says farewell.
    pub(super) fn close(&mut self, out: &mut Vec<Step>) {
        if self.state == State::Connected && self.dtls.close().is_ok() {
            self.drain(out);
        }
    }

    fn settle(&mut self, result: Result<(), dimpl::Error>, out: &mut Vec<Step>) {
        let before = self.state;
        self.drain(out);
        if let Err(error) = result {
            tracing::debug!(%error, "a DTLS association ended");
            self.deadline = None;
            if before == State::Running && self.state == State::Running {
                self.fail(Failure::Dtls, out);
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open; what is not named says nothing about keys"
    )]
    fn drain(&mut self, out: &mut Vec<Step>) {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => out.push(Step::Packet(Bytes::copy_from_slice(packet))),
                Output::BufferTooSmall { needed } if needed <= LARGEST => buffer.resize(needed, 0),
                Output::BufferTooSmall { .. } => return self.fail(Failure::Dtls, out),
                Output::Timeout(at) => {
                    self.deadline = Some(at);
                    return;
                }
                Output::PeerCert(certificate) => {
                    self.authentic = matches(&self.expected, certificate);
                    if !self.authentic {
                        return self.fail(Failure::Fingerprint, out);
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    if !self.authentic {
                        return self.fail(Failure::Fingerprint, out);
                    }
                    let Some(guard) = guard(&material, profile, self.active) else {
                        return self.fail(Failure::Dtls, out);
                    };
                    self.state = State::Connected;
                    out.push(Step::Keys(guard));
                }
                _ => {}
            }
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Step>) {
        self.deadline = None;
        self.state = State::Failed;
        out.push(Step::Failed(failure));
    }
}

/// Both master keys from the exported bytes: keys first, then salts, the client's before the server's
/// (RFC 5764 §4.2).
fn guard(material: &KeyingMaterial, profile: SrtpProfile, active: bool) -> Option<Guard> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128Sha1Tag80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AesGcm128,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AesGcm256,
        _ => return None,
    };
    let (key, salt) = suite.lengths();
    let part = |from: usize, length: usize| material.get(from..from + length);
    let client = Master::new(suite, part(0, key)?, part(2 * key, salt)?);
    let server = Master::new(suite, part(key, key)?, part(2 * key + salt, salt)?);
    if active {
        Guard::protected(&client, server)
    } else {
        Guard::protected(&server, client)
    }
}

fn matches(expected: &Fingerprint, certificate: &[u8]) -> bool {
    let digest = match expected.hash.to_ascii_lowercase().as_str() {
        "sha-256" => colons(&Sha256::digest(certificate)),
        "sha-384" => colons(&Sha384::digest(certificate)),
        "sha-512" => colons(&Sha512::digest(certificate)),
        _ => return false,
    };
    digest.eq_ignore_ascii_case(&expected.value)
}

fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Records fit into any path, tunnels included.
const MTU: usize = 1150;
const BUFFER: usize = 2048;
const LARGEST: usize = 65_535;

#[cfg(test)]
mod tests;
