//! Whom a certificate speaks for (RFC 5922 §7.1), and whether that is who was looked for (§7.2).
//!
//! Stricter than browsers: a name counts as a whole, and no wildcard stands for any other.

use std::net::IpAddr;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::sip::uri::Uri;

/// The names and addresses of a certificate.
#[derive(Debug, Default, PartialEq, Eq)]
struct Identities {
    domains: Vec<String>,
    addresses: Vec<IpAddr>,
}

/// Checks that the certificate is one for `wanted`, the name that was looked up.
///
/// # Errors
/// With whom it is for, when it is for others.
pub(super) fn check(certificate: &[u8], wanted: &ServerName<'_>) -> Result<(), Error> {
    let found =
        identities(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let fits = match wanted {
        ServerName::DnsName(name) => {
            let same = |domain: &String| plain(domain).eq_ignore_ascii_case(plain(name.as_ref()));
            found.domains.iter().any(same)
        }
        ServerName::IpAddress(address) => found.addresses.contains(&IpAddr::from(*address)),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let addresses = found.addresses.iter().map(ToString::to_string);
    Err(CertificateError::NotValidForNameContext {
        expected: wanted.to_owned(),
        presented: found.domains.iter().cloned().chain(addresses).collect(),
    }
    .into())
}

/// A name ends with a dot or does not, and is the same.
fn plain(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The domains a client's certificate speaks for, by its alternative names alone.
pub(in crate::shell) fn domains(certificate: &[u8]) -> Vec<String> {
    let has_alternatives = X509Certificate::from_der(certificate)
        .is_ok_and(|(_, it)| it.subject_alternative_name().is_ok_and(|it| it.is_some()));
    let found = identities(certificate).filter(|_| has_alternatives);
    let domains = found.unwrap_or_default().domains.into_iter();
    let usable = domains.filter(|domain| (1..=LONGEST).contains(&domain.len()));
    usable.take(MOST).collect()
}

fn identities(certificate: &[u8]) -> Option<Identities> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let Some(alternatives) = certificate.subject_alternative_name().ok()? else {
        let names = certificate.subject().iter_common_name();
        return Some(Identities {
            domains: names
                .filter_map(|name| Some(name.as_str().ok()?.to_owned()))
                .collect(),
            addresses: Vec::new(),
        });
    };
    let mut found = Identities::default();
    let mut hosts = Vec::new();
    for name in &alternatives.value.general_names {
        match name {
            GeneralName::URI(uri) => found.domains.extend(domain(uri)),
            GeneralName::DNSName(name) => hosts.push((*name).to_owned()),
            GeneralName::IPAddress(octets) => found.addresses.extend(address(octets)),
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => {}
        }
    }
    if found.domains.is_empty() {
        found.domains = hosts;
    }
    Some(found)
}

/// The domain of a `sip:` URI; one with a user speaks for that user alone.
fn domain(uri: &str) -> Option<String> {
    let parsed = Uri::parse(uri).ok()?;
    let sip = parsed.as_sip().filter(|sip| !sip.secure)?;
    (!uri.contains('@')).then(|| sip.host.to_string())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// Most domains of a client that are looked at, and the longest, in bytes.
const MOST: usize = 16;
const LONGEST: usize = 253;

#[cfg(test)]
mod tests;
