//! TLS for SIP: rustls with ring, 1.2 and 1.3 (RFC 3261 §26.3.1, RFC 5922).
//!
//! A server is always checked: its chain and its name. Clients of ours show no certificate.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::transport::TransportConfig;
use crate::sip::hop::Hop;
use crate::sip::uri::Host;

mod identity;
mod verifier;

use verifier::DomainVerifier;

/// What TLS listeners answer with; `None` when there are none.
pub(super) fn acceptor(config: &TransportConfig) -> anyhow::Result<Option<TlsAcceptor>> {
    let files = match (&config.certificate, config.tls.is_empty()) {
        (_, true) => return Ok(None),
        (None, false) => bail!("TLS listeners need a certificate and its key"),
        (Some(files), false) => files,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read the certificate {}", files.chain.display()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("cannot read the key {}", files.key.display()))?;
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("certificate {} and key do not fit", files.chain.display()))?;
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

/// How we connect over TLS.
pub(super) fn connector(config: &TransportConfig) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match &config.authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let complain = || format!("cannot read the authorities {}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).with_context(complain)? {
                roots
                    .add(certificate.with_context(complain)?)
                    .with_context(complain)?;
            }
        }
    }
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(DomainVerifier::new(roots, &provider()))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(client)))
}

/// The name a server must prove to have.
pub(super) fn server_name(hop: &Hop) -> Option<ServerName<'static>> {
    match (&hop.server_name, &hop.host) {
        (Some(name), _) | (None, Host::Name(name)) => ServerName::try_from(name.to_string()).ok(),
        (None, Host::Ip(address)) => Some(ServerName::from(*address)),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
