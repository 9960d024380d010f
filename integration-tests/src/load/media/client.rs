//! The client's end of a call: a socket of its own, full ICE (RFC 8445), DTLS-SRTP (RFC 5764).
//!
//! Invariant: nothing of the product's code is used; the libraries are the same.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use is::stun::{StunMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceCreds, Protocol};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::RTCCryptoProvider;
use rtc_dtls::crypto_provider::providers::RingProvider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use rtc_shared::TransportProtocol;
use rtc_srtp::protection_profile::ProtectionProfile;
use sha2::{Digest as _, Sha256};

use super::protection::Protection;

/// What all clients of a run share: a certificate is made once.
pub struct Identity {
    active: Arc<HandshakeConfig>,
    passive: Arc<HandshakeConfig>,
    /// SHA-256 of the certificate, in pairs of upper-case digits with colons.
    pub fingerprint: String,
}

/// One client.
pub struct Client {
    /// Where it sends from and is reached.
    pub socket: UdpSocket,
    /// The same as an address.
    pub address: SocketAddr,
    /// Where its packets go.
    pub remote: SocketAddr,
    /// What its packets go through.
    pub protection: Protection,
    /// Its local credentials, where it has ICE.
    pub credentials: IceCreds,
    ice: Option<IceAgent>,
    reached: bool,
    dtls: Option<Dtls>,
}

struct Dtls {
    endpoint: Endpoint,
    config: Arc<HandshakeConfig>,
    active: bool,
    begun: bool,
}

impl Identity {
    /// A new certificate.
    pub fn make() -> Result<Self> {
        let provider: Arc<dyn RTCCryptoProvider> = Arc::new(RingProvider::new());
        let own = Certificate::generate_self_signed(vec!["load".into()], provider.crypto())?;
        let der = own.certificate.first().map(AsRef::<[u8]>::as_ref);
        let digest = Sha256::digest(der.unwrap_or_default());
        let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![own])
            .with_srtp_protection_profiles(vec![
                Profile::Srtp_Aead_Aes_128_Gcm,
                Profile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ])
            .with_insecure_skip_verify(true)
            .with_client_auth(ClientAuthType::RequireAnyClientCert);
        Ok(Self {
            active: Arc::new(config.clone().build(true, None)?),
            passive: Arc::new(config.build(false, None)?),
            fingerprint: pairs.join(":"),
        })
    }
}

impl Client {
    /// A client at a free port, connected to nothing.
    pub fn bind(number: usize) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            remote: address,
            protection: Protection::default(),
            credentials: IceCreds {
                ufrag: format!("load{number}"),
                pass: format!("a-password-that-is-long-{number:08}"),
            },
            ice: None,
            reached: false,
            dtls: None,
        })
    }

    /// Begins ICE, as the controlling side, with a peer that is reached at `candidate`.
    pub fn check(&mut self, peer: IceCreds, candidate: SocketAddr) -> Result<()> {
        let mut agent = IceAgent::new(self.credentials.clone());
        agent.set_controlling(true);
        agent.add_local_candidate(is::Candidate::host(self.address, Protocol::Udp)?);
        agent.set_remote_credentials(peer);
        agent.add_remote_candidate(is::Candidate::host(candidate, Protocol::Udp)?);
        self.remote = candidate;
        self.ice = Some(agent);
        Ok(())
    }

    /// Begins DTLS; `active`: this side is the DTLS client.
    pub fn secure(&mut self, identity: &Identity, active: bool) {
        let config = Arc::clone(if active {
            &identity.active
        } else {
            &identity.passive
        });
        let accept = (!active).then(|| Arc::clone(&config));
        self.dtls = Some(Dtls {
            endpoint: Endpoint::new(PEER, TransportProtocol::UDP, accept),
            config,
            active,
            begun: !active,
        });
    }

    /// Whether there is anything left to do before packets may flow.
    pub fn is_ready(&self) -> bool {
        let secured = self.dtls.is_none() || self.protection.is_some();
        secured && (self.ice.is_none() || self.reached)
    }

    /// Everything that is due; sound is left to [`Client::receive`].
    pub fn advance(&mut self, now: Instant) -> Result<()> {
        if let Some(agent) = &mut self.ice {
            agent.handle_timeout(now);
            while let Some(transmit) = agent.poll_transmit() {
                let contents = Vec::from(transmit.contents);
                send(&self.socket, &contents, transmit.destination)?;
            }
            while let Some(event) = agent.poll_event() {
                if let IceAgentEvent::NominatedSend { destination, .. } = event {
                    (self.remote, self.reached) = (destination, true);
                }
            }
        }
        let may_begin = self.ice.is_none() || self.reached;
        if let Some(dtls) = self.dtls.as_mut().filter(|_| may_begin) {
            if !std::mem::replace(&mut dtls.begun, true) {
                let config = Arc::clone(&dtls.config);
                dtls.endpoint.connect(now, PEER, config, None)?;
            }
            if dtls
                .endpoint
                .poll_timeout(&PEER)
                .is_some_and(|at| at <= now)
            {
                dtls.endpoint.handle_timeout(PEER, now)?;
            }
            dtls.flush(&self.socket, self.remote)?;
        }
        Ok(())
    }

    /// Takes in whatever came that is no sound, and hands sound to `each`.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        now: Instant,
        mut each: impl FnMut(&mut Protection, &[u8]),
    ) -> Result<()> {
        loop {
            let (length, from) = match self.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The other side was not there yet.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error).context("receiving as a client"),
            };
            let datagram = buffer.get(..length).unwrap_or_default();
            match datagram {
                [128..=191, 0..=191 | 224.., ..] => each(&mut self.protection, datagram),
                _ => self.handle(datagram, from, now)?,
            }
        }
    }

    fn handle(&mut self, datagram: &[u8], source: SocketAddr, now: Instant) -> Result<()> {
        match (datagram.first(), &mut self.ice, &mut self.dtls) {
            (Some(0..=3), Some(agent), _) => {
                if let Ok(message) = StunMessage::parse(datagram) {
                    let packet = StunPacket {
                        proto: Protocol::Udp,
                        source,
                        destination: self.address,
                        message,
                    };
                    agent.handle_packet(now, packet);
                }
                self.advance(now)
            }
            (Some(20..=63), _, Some(dtls)) => {
                let events = dtls
                    .endpoint
                    .read(now, PEER, None, BytesMut::from(datagram))?;
                let done =
                    |event: &EndpointEvent| matches!(event, EndpointEvent::HandshakeComplete);
                if events.iter().any(done) {
                    self.protection = dtls.keys()?;
                }
                dtls.flush(&self.socket, self.remote)
            }
            _ => Ok(()),
        }
    }
}

impl Dtls {
    fn flush(&mut self, socket: &UdpSocket, remote: SocketAddr) -> Result<()> {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            send(socket, &transmit.message, remote)?;
        }
        Ok(())
    }

    /// RFC 5764 §4.2: both keys, then both salts, the DTLS client's before the server's.
    fn keys(&self) -> Result<Protection> {
        let state = self
            .endpoint
            .get_connection_state(PEER)
            .context("no association")?;
        let agreed = state.srtp_protection_profile();
        let profile = if agreed == Profile::Srtp_Aead_Aes_128_Gcm {
            ProtectionProfile::AeadAes128Gcm
        } else if agreed == Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 {
            ProtectionProfile::Aes128CmHmacSha1_80
        } else {
            bail!("{agreed:?} was agreed");
        };
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let material =
            state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 2 * (key + salt))?;
        let material = material.into_bytes();
        ensure!(
            material.len() == 2 * (key + salt),
            "the exporter gave too little"
        );
        let (keys, salts) = material.split_at(2 * key);
        let (client, server) = (keys.split_at(key), salts.split_at(salt));
        let client_key = [client.0, server.0].concat();
        let server_key = [client.1, server.1].concat();
        if self.active {
            Protection::new(profile, &client_key, &server_key)
        } else {
            Protection::new(profile, &server_key, &client_key)
        }
    }
}

/// Waits until all of `clients` are ready.
pub fn connect<'a>(clients: impl Iterator<Item = &'a mut Client>) -> Result<()> {
    let mut waiting: Vec<_> = clients.collect();
    let (end, mut buffer) = (Instant::now() + PATIENCE, vec![0; 2048]);
    while !waiting.is_empty() {
        let now = Instant::now();
        ensure!(now < end, "{} clients were not connected", waiting.len());
        for client in &mut waiting {
            client.receive(&mut buffer, now, |_, _| {})?;
            client.advance(now)?;
        }
        waiting.retain(|client| !client.is_ready());
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> Result<()> {
    match socket.send_to(bytes, to) {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error).context("sending as a client"),
    }
}

/// The library keeps associations by address; a client has one.
const PEER: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    1,
));
const PATIENCE: Duration = Duration::from_secs(60);
