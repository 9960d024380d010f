//! DTLS 1.3 (RFC 9147) toward clients that ask for it, with `dimpl`.
//!
//! Certificates have to have keys on elliptic curves, as those of browsers have; a client with an RSA
//! key that nevertheless asks for 1.3 is not connected.

use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;
use bytes::Bytes;
use dimpl::crypto::rust_crypto;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};

use super::{Established, MTU, REPEAT, Told};
use crate::shell::media::srtp::Suite;

/// What all associations of this process have in common.
pub(super) struct Settings {
    config: Arc<Config>,
    own: DtlsCertificate,
}

impl Settings {
    /// For a certificate and its key, both in DER.
    pub(super) fn new(certificate: Vec<u8>, private_key: Vec<u8>) -> anyhow::Result<Self> {
        let config = Config::builder()
            .with_crypto_provider(rust_crypto::default_provider())
            .require_client_certificate(true)
            .flight_start_rto(REPEAT)
            .mtu(MTU)
            .build();
        Ok(Self {
            config: Arc::new(config.map_err(|error| anyhow!("DTLS 1.3: {error}"))?),
            own: DtlsCertificate {
                certificate,
                private_key,
            },
        })
    }
}

/// An association in the server's role.
pub(super) struct Thirteen {
    dtls: Dtls,
    deadline: Option<Instant>,
    certificate: Vec<u8>,
}

impl Thirteen {
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        let (config, own) = (Arc::clone(&settings.config), settings.own.clone());
        Self {
            dtls: Dtls::new_13(config, own, now),
            deadline: None,
            certificate: Vec::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn handle_packet(&mut self, packet: &[u8], now: Instant, out: &mut Vec<Told>) {
        // The library takes the time from here only.
        let ended = self.dtls.handle_timeout(now);
        self.settle(ended, out);
        let ended = self.dtls.handle_packet(packet);
        self.settle(ended, out);
    }

    /// Repeats what was lost.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Told>) {
        let ended = self.dtls.handle_timeout(now);
        self.settle(ended, out);
    }

    /// Says farewell.
    pub(super) fn close(&mut self, now: Instant, out: &mut Vec<Told>) {
        let _ = self.dtls.handle_timeout(now);
        if self.dtls.close().is_ok() {
            self.drain(out);
        }
    }

    /// Collects what came of an input; an error of the library is the end of the association.
    fn settle(&mut self, ended: Result<(), dimpl::Error>, out: &mut Vec<Told>) {
        self.drain(out);
        if let Err(error) = ended {
            tracing::debug!(%error, "a DTLS 1.3 association failed");
            self.deadline = None;
            out.push(Told::Failed);
        }
    }

    fn drain(&mut self, out: &mut Vec<Told>) {
        let mut room = vec![0; ROOM];
        loop {
            match self.dtls.poll_output(&mut room) {
                Output::Packet(packet) => out.push(Told::Packet(Bytes::copy_from_slice(packet))),
                Output::BufferTooSmall { needed } if needed <= MOST => room.resize(needed, 0),
                Output::PeerCert(certificate) => self.certificate = certificate.to_vec(),
                // The client's part is verified by then.
                Output::KeyingMaterial(material, profile) => out.push(match suite(profile) {
                    Some(suite) => Told::Established(Established {
                        certificate: std::mem::take(&mut self.certificate),
                        suite,
                        material: material.to_vec(),
                    }),
                    None => Told::Failed,
                }),
                Output::Timeout(at) => {
                    self.deadline = Some(at);
                    break;
                }
                Output::BufferTooSmall { .. } => break,
                // Nobody says anything over it, and its end is told by signalling.
                Output::Connected | Output::ApplicationData(_) | Output::CloseNotify | _ => {}
            }
        }
    }
}

fn suite(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128Sha1Tag80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AesGcm128),
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AesGcm256),
        _ => None,
    }
}

/// Room for what the library hands out, and the most of it.
const ROOM: usize = 2048;
const MOST: usize = 65_536;
