use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};

use super::*;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Signs a certificate for `sip.example.com`, good until this year.
    fn sign(&self, until: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["sip.example.com".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.0).unwrap().der().clone()
    }

    /// What somebody who trusts this authority says in 2025.
    fn verdict(&self, certificate: &CertificateDer<'_>, name: &str) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let verifier = DomainVerifier::new(roots, &rustls::crypto::ring::default_provider());
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_750_000_000));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let verdict = verifier.verify_server_cert(certificate, &[], &name, &[], now);
        verdict.map(drop).map_err(|error| error.to_string())
    }
}

#[test]
fn name_authority_and_time_must_all_be_right() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let good = ours.sign(2030);
    assert_eq!(ours.verdict(&good, "sip.example.com"), Ok(()));
    for (verdict, expected) in [
        (ours.verdict(&good, "example.com"), "not valid for name"),
        (other.verdict(&good, "sip.example.com"), "UnknownIssuer"),
        (ours.verdict(&ours.sign(2024), "sip.example.com"), "expired"),
    ] {
        let error = verdict.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
