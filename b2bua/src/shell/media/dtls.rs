//! DTLS-SRTP (RFC 5764 §5): a handshake whose keys are used only if the certificate is the announced one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_dtls::crypto_provider::providers::RingProvider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use rtc_dtls::state::State as Association;
use rtc_shared::TransportProtocol;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::srtp::{Guard, Master, Suite};
use crate::media::{Failure, Fingerprint};

/// This process's certificate; a new one at each start.
#[derive(Clone)]
pub(super) struct Certificate {
    active: Arc<HandshakeConfig>,
    passive: Arc<HandshakeConfig>,
    /// Its digest as descriptions tell it.
    pub(super) fingerprint: Fingerprint,
}

impl Certificate {
    pub(super) fn generate() -> anyhow::Result<Self> {
        let provider: Arc<dyn RTCCryptoProvider> = Arc::new(RingProvider::new());
        let names = vec!["tandem".to_owned()];
        let own = rtc_dtls::crypto::Certificate::generate_self_signed(names, provider.crypto())?;
        let der = own.certificate.first().map(AsRef::<[u8]>::as_ref);
        let fingerprint = Fingerprint {
            hash: "sha-256".to_owned(),
            value: colons(&Sha256::digest(der.unwrap_or_default())),
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![own])
            // Without one the library makes one up and warns of it.
            .with_server_name("tandem".to_owned())
            .with_srtp_protection_profiles(vec![
                Profile::Srtp_Aead_Aes_128_Gcm,
                Profile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ])
            // No authority vouches for these certificates: the fingerprint does. That the other side
            // has the key to its certificate is proven in either role.
            .with_insecure_skip_verify(true)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_flight_interval(REPEAT)
            .with_mtu(MTU);
        Ok(Self {
            active: Arc::new(config.clone().build(true, None)?),
            passive: Arc::new(config.build(false, None)?),
            fingerprint,
        })
    }
}

/// One handshake and, after it, the association that keeps answering.
pub(super) struct Handshake {
    endpoint: Endpoint,
    config: Arc<HandshakeConfig>,
    begun: bool,
    tries: u8,
    expected: Fingerprint,
    active: bool,
    budget: usize,
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
    /// A handshake with the side that has the certificate `expected`; `active`: we begin, at the first
    /// [`Self::handle_timeout`].
    pub(super) fn new(certificate: &Certificate, expected: Fingerprint, active: bool) -> Self {
        let config = if active {
            Arc::clone(&certificate.active)
        } else {
            Arc::clone(&certificate.passive)
        };
        Self {
            endpoint: endpoint(&config, active),
            config,
            begun: !active,
            tries: 0,
            expected,
            active,
            budget: BUDGET,
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
        let runs = self.state == State::Running;
        runs.then(|| self.endpoint.poll_timeout(&NOBODY)).flatten()
    }

    /// A record came.
    pub(super) fn handle_packet(&mut self, packet: &[u8], now: Instant, out: &mut Vec<Step>) {
        // What is not yet authentic is kept, and put together by recursion: not without end.
        let Some(left) = self.budget.checked_sub(packet.len()) else {
            return;
        };
        self.budget = left;
        if self.state == State::Failed || !self.begun {
            return;
        }
        let packet = BytesMut::from(packet);
        match self.endpoint.read(now, NOBODY, None, packet) {
            Ok(events) => {
                let completes =
                    |event: &EndpointEvent| matches!(event, EndpointEvent::HandshakeComplete);
                if events.iter().any(completes) {
                    self.complete(out);
                }
            }
            // Whoever sent that, the handshake may still succeed; if not, time ends it.
            Err(error) => tracing::debug!(%error, "a DTLS record was refused"),
        }
        self.drain(out);
    }

    /// Begins, or repeats what was lost.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Step>) {
        if self.state != State::Running {
            return;
        }
        let mut result = Ok(());
        if self.deadline().is_some() {
            result = self.endpoint.handle_timeout(NOBODY, now);
            self.drain(out);
        }
        if let Err(error) = result {
            tracing::debug!(%error, "a DTLS handshake got no answer");
            // The library gives up after some seconds; the other side may have been told of us later.
            self.tries += 1;
            if self.tries == TRIES {
                return self.fail(Failure::Dtls, out);
            }
            self.endpoint = endpoint(&self.config, self.active);
            self.begun = !self.active;
        }
        if !self.begun {
            self.begun = true;
            let config = Arc::clone(&self.config);
            if self.endpoint.connect(now, NOBODY, config, None).is_err() {
                self.fail(Failure::Dtls, out);
            }
            self.drain(out);
        }
    }

    /// Says farewell.
    pub(super) fn close(&mut self, now: Instant, out: &mut Vec<Step>) {
        if self.state == State::Connected && self.endpoint.close(now).is_ok() {
            self.drain(out);
        }
    }

    fn complete(&mut self, out: &mut Vec<Step>) {
        let association = self.endpoint.get_connection_state(NOBODY);
        let certificate = association.and_then(|it| it.peer_certificates.first());
        if !certificate.is_some_and(|certificate| matches(&self.expected, certificate)) {
            return self.fail(Failure::Fingerprint, out);
        }
        let Some(guard) = association.and_then(|it| guard(it, self.active)) else {
            return self.fail(Failure::Dtls, out);
        };
        self.state = State::Connected;
        out.push(Step::Keys(guard));
    }

    fn drain(&mut self, out: &mut Vec<Step>) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            out.push(Step::Packet(transmit.message.freeze()));
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Step>) {
        self.state = State::Failed;
        out.push(Step::Failed(failure));
    }
}

fn endpoint(config: &Arc<HandshakeConfig>, active: bool) -> Endpoint {
    let accept = (!active).then(|| Arc::clone(config));
    Endpoint::new(NOBODY, TransportProtocol::UDP, accept)
}

/// Both master keys from the exported bytes: keys first, then salts, the client's before the server's
/// (RFC 5764).
fn guard(association: &Association, active: bool) -> Option<Guard> {
    let profile = association.srtp_protection_profile();
    let suite = if profile == Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 {
        Suite::AesCm128Sha1Tag80
    } else if profile == Profile::Srtp_Aead_Aes_128_Gcm {
        Suite::AesGcm128
    } else {
        return None;
    };
    let (key, salt) = suite.lengths();
    let length = 2 * (key + salt);
    let material = association
        .export_keying_material(LABEL, &[], length)
        .ok()?;
    let material = material.into_bytes();
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

/// The library keeps associations by address; ours have one each, and ICE may move it.
const NOBODY: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::UNSPECIFIED,
    1,
));
const LABEL: &str = "EXTRACTOR-dtls_srtp";
/// Records fit into any path, tunnels included.
const MTU: usize = 1150;
/// Between two tries. RFC 6347 has a second, but paths of calls are faster, and seven are made.
const REPEAT: Duration = Duration::from_millis(500);
/// Handshakes of four seconds each.
const TRIES: u8 = 6;
/// Bytes of handshake that one peer may send: certificates are one or two thousand.
const BUDGET: usize = 32 * 1024;

#[cfg(test)]
mod tests;
