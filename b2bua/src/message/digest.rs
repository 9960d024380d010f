//! Answering digest challenges (RFC 3261 §22.2; RFC 8760).
//!
//! Challenges are read by our own grammar: the header comes from the network. The first algorithm
//! the peer lists and we know is taken; credentials never leave for another next hop than theirs.

use digest_auth::{
    Algorithm, AlgorithmType, AuthContext, Charset, HttpMethod, Qop, WwwAuthenticateHeader,
};

use crate::sip::grammar;
use crate::sip::header::Name;
use crate::sip::{Request, Response};

/// An account at a next hop.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
    /// The only realm it is for; any realm of its next hop when absent.
    pub realm: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// Adds to `request` the answer to the challenges of `response`; false when none can be answered.
#[must_use]
pub fn answer(
    request: &mut Request,
    response: &Response,
    account: &Credentials,
    cnonce: &str,
) -> bool {
    let mut answered = false;
    for (asked, answer) in [
        (Name::WwwAuthenticate, Name::Authorization),
        (Name::ProxyAuthenticate, Name::ProxyAuthorization),
    ] {
        let mut realms: Vec<String> = Vec::new();
        for text in response.headers.all(asked).take(MAX_CHALLENGES) {
            let Some(mut challenge) = read(text) else {
                continue;
            };
            let known = account
                .realm
                .as_ref()
                .is_none_or(|realm| *realm == challenge.realm);
            if !known || realms.contains(&challenge.realm) {
                continue;
            }
            let uri = request.uri.to_string();
            let method = HttpMethod::from(request.method.as_str());
            let mut context = AuthContext::new_with_method(
                account.username.as_str(),
                account.password.as_str(),
                uri.as_str(),
                Some(&request.body[..]),
                method,
            );
            context.set_custom_cnonce(cnonce);
            if let Ok(value) = challenge.respond(&context) {
                realms.push(challenge.realm);
                request.headers.push(answer, &value.to_header_string());
                answered = true;
            }
        }
    }
    answered
}

fn read(text: &str) -> Option<WwwAuthenticateHeader> {
    let text = grammar::trim(text);
    let (scheme, rest) = text.split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let mut challenge = WwwAuthenticateHeader {
        domain: None,
        realm: String::new(),
        nonce: String::new(),
        opaque: None,
        stale: false,
        algorithm: Algorithm::new(AlgorithmType::MD5, false),
        qop: None,
        userhash: false,
        charset: Charset::UTF8,
        nc: 0,
    };
    for parameter in grammar::split_list(rest) {
        let (name, value) = parameter.split_once('=')?;
        let value = grammar::trim(value);
        let inside = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let value = inside.map_or_else(|| value.into(), grammar::unquote);
        match grammar::trim(name).to_ascii_lowercase().as_str() {
            "realm" => challenge.realm = value.into_owned(),
            "nonce" => challenge.nonce = value.into_owned(),
            "opaque" => challenge.opaque = Some(value.into_owned()),
            "algorithm" => challenge.algorithm = algorithm(&value)?,
            "qop" => challenge.qop = Some(vec![qop(&value)?]),
            _ => {}
        }
    }
    (!challenge.nonce.is_empty()).then_some(challenge)
}

fn algorithm(name: &str) -> Option<Algorithm> {
    let upper = name.to_ascii_uppercase();
    let (plain, session) = match upper.strip_suffix("-SESS") {
        Some(plain) => (plain, true),
        None => (upper.as_str(), false),
    };
    let kind = match plain {
        "MD5" => AlgorithmType::MD5,
        "SHA-256" => AlgorithmType::SHA2_256,
        "SHA-512-256" => AlgorithmType::SHA2_512_256,
        _ => return None,
    };
    Some(Algorithm::new(kind, session))
}

fn qop(offered: &str) -> Option<Qop> {
    let has = |wanted: &str| {
        offered
            .split(',')
            .any(|one| one.trim().eq_ignore_ascii_case(wanted))
    };
    match () {
        () if has("auth") => Some(Qop::AUTH),
        () if has("auth-int") => Some(Qop::AUTH_INT),
        () => None,
    }
}

/// More challenges of one kind are not looked at.
const MAX_CHALLENGES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Method, Status, Uri};

    fn challenged(values: &[&str]) -> Option<String> {
        let mut request = Request::new(Method::Message, Uri::parse("sip:bob@biloxi.com").unwrap());
        let mut response = Response::to(&request, Status::UNAUTHORIZED);
        for value in values {
            response = response.with(Name::WwwAuthenticate, value);
        }
        let account = Credentials {
            username: "bob".into(),
            password: "zanzibar".into(),
            realm: Some("biloxi.com".into()),
        };
        answer(&mut request, &response, &account, "0a4f113b")
            .then(|| request.headers.get(Name::Authorization).unwrap().to_owned())
    }

    #[test]
    fn a_plain_md5_challenge_gets_its_response() {
        let value = challenged(&[
            r#"Digest realm="biloxi.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc""#,
        ])
        .unwrap();
        for part in [
            "username=\"bob\"",
            "uri=\"sip:bob@biloxi.com\"",
            "nc=00000001",
            "qop=auth",
            "opaque=\"5ccc\"",
        ] {
            assert!(value.contains(part), "{value}");
        }
        let ha1 = Algorithm::default().hash(b"bob:biloxi.com:zanzibar");
        let ha2 = Algorithm::default().hash(b"MESSAGE:sip:bob@biloxi.com");
        let all = format!("{ha1}:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth:{ha2}");
        assert!(
            value.contains(&Algorithm::default().hash(all.as_bytes())),
            "{value}"
        );
    }

    #[test]
    fn the_first_known_algorithm_is_taken() {
        let value = challenged(&[
            r#"Digest realm="biloxi.com", nonce="a", algorithm=SHA-3, qop="auth""#,
            r#"Digest realm="biloxi.com", nonce="b", algorithm=SHA-256, qop="auth""#,
            r#"Digest realm="biloxi.com", nonce="c", algorithm=MD5"#,
        ])
        .unwrap();
        assert!(
            value.contains("nonce=\"b\"") && value.contains("SHA-256"),
            "{value}"
        );
    }

    #[test]
    fn other_realms_and_nonsense_get_nothing() {
        for value in [
            r#"Digest realm="evil.example", nonce="a""#,
            "Basic realm=\"biloxi.com\"",
            "Digest",
            "Digest é=ü, nonce",
            "Digest realm=\"biloxi.com\"",
        ] {
            assert_eq!(challenged(&[value]), None, "{value}");
        }
    }

    #[test]
    fn a_quote_in_a_realm_does_not_break_out() {
        let mut request = Request::new(Method::Message, Uri::parse("sip:a@b").unwrap());
        let response = Response::to(&request, Status::UNAUTHORIZED).with(
            Name::WwwAuthenticate,
            r#"Digest realm="a\", x=\"b", nonce="n""#,
        );
        let account = Credentials {
            username: "u".into(),
            password: "p".into(),
            realm: None,
        };
        assert!(answer(&mut request, &response, &account, "c"));
        let value = request.headers.get(Name::Authorization).unwrap();
        assert!(value.contains(r#"realm="a\", x=\"b""#), "{value}");
    }
}
