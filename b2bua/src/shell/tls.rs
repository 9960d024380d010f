//! TLS for SIP: rustls with ring, 1.2 and 1.3 (RFC 3261 §26.3.1, RFC 5922).
//!
//! A server is always checked: its chain and its name. Clients show a certificate where either side
//! wants it: ours by the trunk, others by the listener.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::transport::{CertificateFiles, Dial, Listener};
use crate::sip::hop::Hop;
use crate::sip::uri::Host;

pub(super) mod identity;
pub(super) mod reason;
mod verifier;

use verifier::DomainVerifier;

/// What a TLS listener answers with.
pub(super) fn acceptor(listener: &Listener) -> anyhow::Result<TlsAcceptor> {
    let Some(files) = &listener.certificate else {
        bail!("TLS listeners need a certificate and its key");
    };
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match &listener.client_authorities {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(read_authorities(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            let complain = || format!("no authorities in {}", file.display());
            builder.with_client_cert_verifier(verifier.with_context(complain)?)
        }
    };
    let (chain, key) = read(files)?;
    let server = builder
        .with_single_cert(chain, key)
        .with_context(|| format!("certificate {} and key do not fit", files.chain.display()))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// How we connect over TLS.
pub(super) fn connector(dial: &Dial) -> anyhow::Result<TlsConnector> {
    let roots = match &dial.authorities {
        None => RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => read_authorities(file)?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(DomainVerifier::new(roots, &provider()));
    let client = match &dial.certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = read(files)?;
            let complain = || format!("certificate {} and key do not fit", files.chain.display());
            builder
                .with_client_auth_cert(chain, key)
                .with_context(complain)?
        }
    };
    Ok(TlsConnector::from(Arc::new(client)))
}

/// The name a server must prove to have.
pub(super) fn server_name(hop: &Hop) -> Option<ServerName<'static>> {
    match (&hop.server_name, &hop.host) {
        (Some(name), _) | (None, Host::Name(name)) => ServerName::try_from(name.to_string()).ok(),
        (None, Host::Ip(address)) => Some(ServerName::from(*address)),
    }
}

fn read_authorities(file: &Path) -> anyhow::Result<RootCertStore> {
    let complain = || format!("cannot read the authorities {}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).with_context(complain)? {
        roots
            .add(certificate.with_context(complain)?)
            .with_context(complain)?;
    }
    if roots.is_empty() {
        bail!(
            "authorities: {} holds no certificate in PEM",
            file.display()
        );
    }
    Ok(roots)
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(files: &CertificateFiles) -> anyhow::Result<Own> {
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate {}", files.chain.display()))?;
    if chain.is_empty() {
        bail!("certificate: {} holds none in PEM", files.chain.display());
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("cannot read the key {}", files.key.display()))?;
    Ok((chain, key))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
