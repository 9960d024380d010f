//! Why TLS with a peer failed, in words that say what to do.

use std::io;

use rustls::{CertificateError, Error};

/// What is wrong with a server we connect to.
pub(in crate::shell) fn of_server(error: &io::Error) -> String {
    let Some(error) = inner(error) else {
        return error.to_string();
    };
    if is_refusal(error) {
        return format!(
            "it breaks off ({error}); if it wants a certificate of ours, give certificate and key of the trunk"
        );
    }
    let Error::InvalidCertificate(invalid) = error else {
        return error.to_string();
    };
    if let CertificateError::NotValidForNameContext { presented, .. } = invalid {
        let presented = match presented.is_empty() {
            true => "nobody".to_owned(),
            false => presented.join(", "),
        };
        return format!(
            "its certificate is for {presented}; names count as a whole, without wildcards. If it is the right \
             one, name it in tls_name of the trunk"
        );
    }
    let unknown = CertificateError::UnknownIssuer;
    if *invalid == unknown || *invalid == CertificateError::BadSignature {
        return "its certificate is signed by nobody we trust; give the file of its authority in authorities \
                of the trunk or of [sip]"
            .to_owned();
    }
    error.to_string()
}

/// What is wrong with a client that connects to us.
pub(in crate::shell) fn of_client(error: &io::Error) -> String {
    let Some(error) = inner(error) else {
        return error.to_string();
    };
    if matches!(error, Error::NoCertificatesPresented) {
        return "it shows no certificate, which client_authorities of the listener asks for"
            .to_owned();
    }
    if matches!(error, Error::InvalidCertificate(_)) {
        return format!("{error}: it must be signed by client_authorities of the listener");
    }
    if is_refusal(error) {
        return format!("{error}: it does not accept certificate of the listener");
    }
    error.to_string()
}

/// Whether it is an error of TLS, and not only of the connection below.
pub(in crate::shell) fn is_tls(error: &io::Error) -> bool {
    inner(error).is_some()
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::AlertReceived(_))
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: Error) -> String {
        of_server(&io::Error::other(error))
    }

    #[test]
    fn every_reason_names_the_key_that_helps() {
        let name = rustls::pki_types::ServerName::try_from("a.example").unwrap();
        let other = CertificateError::NotValidForNameContext {
            expected: name,
            presented: vec!["*.example".to_owned()],
        };
        let other = said(Error::InvalidCertificate(other));
        assert!(
            other.contains("*.example") && other.contains("tls_name"),
            "{other}"
        );
        let unknown = said(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert!(unknown.contains("authorities"), "{unknown}");
        let refused = said(Error::AlertReceived(
            rustls::AlertDescription::CertificateRequired,
        ));
        assert!(refused.contains("certificate and key"), "{refused}");
        let silent = of_client(&io::Error::other(Error::NoCertificatesPresented));
        assert!(silent.contains("client_authorities"), "{silent}");
        assert!(!is_tls(&io::Error::other("reset")));
    }
}
