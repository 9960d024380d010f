//! DTLS 1.2 (RFC 6347), both roles, with `rtc-dtls`: any kind of certificate that is around.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use rtc_dtls::state::State as Association;
use rtc_shared::TransportProtocol;

use super::{Certificate, Established, MTU, REPEAT, TRIES, Told};
use crate::shell::media::srtp::Suite;

/// An association.
pub(super) struct Twelve {
    endpoint: Endpoint,
    config: Arc<HandshakeConfig>,
    active: bool,
    begun: bool,
    tries: u8,
}

/// What all associations of this process have in common.
pub(super) fn config(
    provider: Arc<dyn RTCCryptoProvider>,
    own: rtc_dtls::crypto::Certificate,
) -> ConfigBuilder {
    ConfigBuilder::default()
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
        .with_mtu(MTU)
}

impl Twelve {
    /// `active`: it begins, at the first [`Self::handle_timeout`].
    pub(super) fn new(certificate: &Certificate, active: bool) -> Self {
        let config = if active {
            Arc::clone(&certificate.active)
        } else {
            Arc::clone(&certificate.passive)
        };
        Self {
            endpoint: endpoint(&config, active),
            config,
            active,
            begun: !active,
            tries: 0,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&NOBODY)
    }

    pub(super) fn handle_packet(&mut self, packet: &[u8], now: Instant, out: &mut Vec<Told>) {
        if !self.begun {
            return;
        }
        match self
            .endpoint
            .read(now, NOBODY, None, BytesMut::from(packet))
        {
            Ok(events) => {
                let completes =
                    |event: &EndpointEvent| matches!(event, EndpointEvent::HandshakeComplete);
                if events.iter().any(completes) {
                    let association = self.endpoint.get_connection_state(NOBODY);
                    out.push(match association.and_then(established) {
                        Some(established) => Told::Established(established),
                        None => Told::Failed,
                    });
                }
            }
            // Whoever sent that, the handshake may still succeed; if not, time ends it.
            Err(error) => tracing::debug!(%error, "a DTLS record was refused"),
        }
        self.drain(out);
    }

    /// Begins, or repeats what was lost.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Told>) {
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
                out.push(Told::Failed);
                return;
            }
            self.endpoint = endpoint(&self.config, self.active);
            self.begun = !self.active;
        }
        if !self.begun {
            self.begun = true;
            let config = Arc::clone(&self.config);
            if self.endpoint.connect(now, NOBODY, config, None).is_err() {
                out.push(Told::Failed);
            }
            self.drain(out);
        }
    }

    /// Says farewell.
    pub(super) fn close(&mut self, now: Instant, out: &mut Vec<Told>) {
        if self.endpoint.close(now).is_ok() {
            self.drain(out);
        }
    }

    fn drain(&mut self, out: &mut Vec<Told>) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            out.push(Told::Packet(transmit.message.freeze()));
        }
    }
}

fn endpoint(config: &Arc<HandshakeConfig>, active: bool) -> Endpoint {
    let accept = (!active).then(|| Arc::clone(config));
    Endpoint::new(NOBODY, TransportProtocol::UDP, accept)
}

fn established(association: &Association) -> Option<Established> {
    let profile = association.srtp_protection_profile();
    let suite = if profile == Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 {
        Suite::AesCm128Sha1Tag80
    } else if profile == Profile::Srtp_Aead_Aes_128_Gcm {
        Suite::AesGcm128
    } else {
        return None;
    };
    let (key, salt) = suite.lengths();
    let exported = association.export_keying_material(LABEL, &[], 2 * (key + salt));
    Some(Established {
        certificate: association.peer_certificates.first()?.clone(),
        suite,
        material: exported.ok()?.into_bytes(),
    })
}

/// The library keeps associations by address; ours have one each, and ICE may move it.
const NOBODY: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::UNSPECIFIED,
    1,
));
const LABEL: &str = "EXTRACTOR-dtls_srtp";
