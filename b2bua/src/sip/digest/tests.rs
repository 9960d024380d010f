use super::*;
use crate::sip::method::Method;
use crate::sip::uri::Uri;
use proptest::prelude::*;

const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";

fn digest() -> Digest {
    Digest::new(Credential {
        user: "Mufasa".into(),
        password: "Circle of Life".into(),
        realm: Some("a.example".into()),
    })
}

fn request() -> Request {
    Request::new(Method::Message, Uri::parse("sip:bob@example.com").unwrap())
}

fn challenged(status: Status, challenges: &[&str]) -> Response {
    let name = match status {
        Status::UNAUTHORIZED => Name::WwwAuthenticate,
        _ => Name::ProxyAuthenticate,
    };
    let response = Response::to(&request(), status);
    challenges.iter().fold(response, |response, challenge| {
        response.with(name, challenge)
    })
}

fn mint() -> Mint {
    Mint::new([3; 16])
}

fn md5(realm: &str, nonce: &str, more: &str) -> String {
    format!(
        "Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth,auth-int\", algorithm=MD5{more}"
    )
}

fn field(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("{name}=")).unwrap();
    rest.split([',', ' '])
        .next()
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

#[test]
fn the_hash_is_that_of_the_specification() {
    // RFC 7616 §3.9.1, the same words under three algorithms.
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            Algorithm::Sha256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let hash = Hashing::new(hashing(algorithm), false);
        let ha1 = hash.hash_str("Mufasa:http-auth@example.org:Circle of Life");
        let ha2 = hash.hash_str("GET:/dir/index.html");
        let text = format!(
            "{ha1}:{NONCE}:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:{ha2}"
        );
        assert_eq!(hash.hash_str(&text), expected);
    }
}

#[test]
fn a_proxy_challenge_is_answered_with_the_request_uri_and_method() {
    let (mut digest, mut request) = (digest(), request());
    let response = challenged(
        Status::PROXY_AUTHENTICATION_REQUIRED,
        &[&md5("a.example", NONCE, "")],
    );
    digest
        .answer(&response, &mut request, &mut Rounds::default(), &mut mint())
        .unwrap();
    let answer = request.headers.get(Name::ProxyAuthorization).unwrap();
    assert_eq!(field(answer, "nc"), "00000001");
    let hash = Hashing::new(AlgorithmType::MD5, false);
    let ha1 = hash.hash_str("Mufasa:a.example:Circle of Life");
    let ha2 = hash.hash_str("MESSAGE:sip:bob@example.com");
    let text = format!(
        "{ha1}:{NONCE}:00000001:{}:auth:{ha2}",
        field(answer, "cnonce")
    );
    assert_eq!(field(answer, "response"), hash.hash_str(&text));
}

#[test]
fn a_session_algorithm_hashes_the_first_hash() {
    let (mut digest, mut request) = (digest(), request());
    let offer =
        format!("Digest realm=\"a.example\", nonce=\"{NONCE}\", algorithm=SHA-256-sess, qop=auth");
    let response = challenged(Status::UNAUTHORIZED, &[&offer]);
    digest
        .answer(&response, &mut request, &mut Rounds::default(), &mut mint())
        .unwrap();
    let answer = request.headers.get(Name::Authorization).unwrap();
    let (hash, cnonce) = (
        Hashing::new(AlgorithmType::SHA2_256, false),
        field(answer, "cnonce"),
    );
    let inner = hash.hash_str("Mufasa:a.example:Circle of Life");
    let ha1 = hash.hash_str(&format!("{inner}:{NONCE}:{cnonce}"));
    let ha2 = hash.hash_str("MESSAGE:sip:bob@example.com");
    let expected = hash.hash_str(&format!("{ha1}:{NONCE}:00000001:{cnonce}:auth:{ha2}"));
    assert_eq!(field(answer, "response"), expected);
}

#[test]
fn the_topmost_supported_algorithm_is_taken() {
    let (mut digest, mut request) = (digest(), request());
    let offers = [
        "Digest realm=\"a.example\", nonce=\"1\", algorithm=TOKEN-9, qop=\"auth\"",
        "Digest realm=\"a.example\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"a.example\", nonce=\"3\", algorithm=MD5, qop=\"auth\"",
    ];
    let response = challenged(Status::UNAUTHORIZED, &offers);
    digest
        .answer(&response, &mut request, &mut Rounds::default(), &mut mint())
        .unwrap();
    assert_eq!(
        field(request.headers.get(Name::Authorization).unwrap(), "nonce"),
        "2"
    );
}

#[test]
fn the_counter_goes_up_with_every_request_under_one_nonce() {
    let (mut digest, mut mint) = (digest(), mint());
    let response = challenged(Status::UNAUTHORIZED, &[&md5("a.example", NONCE, "")]);
    digest
        .answer(&response, &mut request(), &mut Rounds::default(), &mut mint)
        .unwrap();
    for expected in ["00000002", "00000003"] {
        let mut next = request();
        digest.authorize(&mut next, &mut mint);
        assert_eq!(
            field(next.headers.get(Name::Authorization).unwrap(), "nc"),
            expected
        );
    }
}

#[test]
fn a_wrong_password_ends_and_does_not_loop_on_new_nonces() {
    let (mut digest, mut request, mut mint, mut rounds) =
        (digest(), request(), mint(), Rounds::default());
    let mut ask = |nonce: &str, more: &str| {
        let response = challenged(Status::UNAUTHORIZED, &[&md5("a.example", nonce, more)]);
        digest.answer(&response, &mut request, &mut rounds, &mut mint)
    };
    assert_eq!(ask("1", ""), Ok(()));
    assert_eq!(ask("2", ""), Err(Denied::Rejected));
}

#[test]
fn a_stale_nonce_is_replaced_but_not_for_ever() {
    let (mut digest, mut request, mut mint, mut rounds) =
        (digest(), request(), mint(), Rounds::default());
    let mut ask = |nonce: &str| {
        let response = challenged(
            Status::UNAUTHORIZED,
            &[&md5("a.example", nonce, ", stale=TRUE")],
        );
        digest.answer(&response, &mut request, &mut rounds, &mut mint)
    };
    assert_eq!(
        [ask("1"), ask("2"), ask("3")],
        [Ok(()), Ok(()), Err(Denied::Rejected)]
    );
}

#[test]
fn an_old_nonce_used_in_advance_may_be_replaced() {
    let (mut digest, mut mint) = (digest(), mint());
    let first = challenged(Status::UNAUTHORIZED, &[&md5("a.example", "1", "")]);
    digest
        .answer(&first, &mut request(), &mut Rounds::default(), &mut mint)
        .unwrap();
    let (mut next, mut rounds) = (request(), Rounds::default());
    digest.authorize(&mut next, &mut mint);
    let second = challenged(Status::UNAUTHORIZED, &[&md5("a.example", "2", "")]);
    assert_eq!(
        digest.answer(&second, &mut next, &mut rounds, &mut mint),
        Ok(())
    );
    assert_eq!(
        field(next.headers.get(Name::Authorization).unwrap(), "nonce"),
        "2"
    );
    assert_eq!(next.headers.count(Name::Authorization), 1);
}

/// A server that began anew gives one nonce to several requests that were under way with the old one.
#[test]
fn requests_under_way_together_may_all_replace_an_old_nonce() {
    let (mut digest, mut mint) = (digest(), mint());
    let mut first = request();
    let old = challenged(Status::UNAUTHORIZED, &[&md5("a.example", "old", "")]);
    digest
        .answer(&old, &mut first, &mut Rounds::default(), &mut mint)
        .unwrap();
    let new = challenged(Status::UNAUTHORIZED, &[&md5("a.example", "new", "")]);
    for _ in 0..3 {
        let (mut together, mut rounds) = (request(), Rounds::default());
        // As if it had left before any of them was challenged.
        let before = first.headers.get(Name::Authorization).unwrap().to_owned();
        together.headers.set(Name::Authorization, &before);
        let answered = digest.answer(&new, &mut together, &mut rounds, &mut mint);
        assert_eq!(answered, Ok(()));
        let again = digest.answer(&new, &mut together, &mut rounds, &mut mint);
        assert_eq!(again, Err(Denied::Rejected));
    }
}

#[test]
fn a_credential_is_not_given_to_another_realm() {
    let response = challenged(Status::UNAUTHORIZED, &[&md5("evil.example", NONCE, "")]);
    let denied = digest().answer(
        &response,
        &mut request(),
        &mut Rounds::default(),
        &mut mint(),
    );
    assert_eq!(denied, Err(Denied::Realm));
}

/// The challenge of a peer that wants the body covered, and nothing else.
fn with_body(algorithm: &str) -> String {
    format!(
        "Digest realm=\"a.example\", nonce=\"{NONCE}\", qop=\"auth-int\", algorithm={algorithm}, opaque=\"o\""
    )
}

/// Hashes made with Python's hashlib after RFC 7616 §3.4.3.
#[test]
fn the_body_is_covered_where_nothing_else_is_offered() {
    for (algorithm, body, expected) in [
        ("MD5", "hello", "c3ecaeafee9d7a69e18c1ec956673454"),
        ("MD5", "", "bd8a32a381478991c0e302d6734c0ef0"),
        (
            "SHA-256",
            "hello",
            "befbae382c29fdbb2b596185fe0a2f4e0f37d7a5e44e383ea9bf2c315dc3c8e8",
        ),
        (
            "SHA-256-sess",
            "hello",
            "5c3a9044111b1c2a67dd8d95160b54bf82b7da3e29195ecb62c23323b291bf42",
        ),
    ] {
        let (mut digest, mut request) = (digest(), request());
        request.body = bytes::Bytes::from_static(body.as_bytes());
        let response = challenged(Status::UNAUTHORIZED, &[&with_body(algorithm)]);
        digest
            .answer(&response, &mut request, &mut Rounds::default(), &mut mint())
            .unwrap();
        let answer = request.headers.get(Name::Authorization).unwrap();
        assert_eq!(field(answer, "qop"), "auth-int", "{answer}");
        assert_eq!(field(answer, "response"), expected, "{answer}");
    }
}

#[test]
fn the_body_is_left_out_where_that_is_offered() {
    for offer in ["auth,auth-int", "auth-int , auth", "x, AUTH"] {
        let text = md5("a.example", NONCE, "").replace("auth,auth-int", offer);
        let challenge = Challenge::parse(&text).unwrap();
        assert_eq!(challenge.protection, Protection::Auth, "{text}");
    }
    let only = Challenge::parse(&with_body("SHA-512-256")).unwrap();
    assert_eq!(only.protection, Protection::AuthInt);
    let unknown = md5("a.example", NONCE, "").replace("auth,auth-int", "auth-conf");
    assert_eq!(Challenge::parse(&unknown), Err(Denied::Unsupported));
}

/// The proxy before a server asks as well: both are answered, now and in advance, each nonce with a
/// count of its own.
#[test]
fn a_proxy_and_a_server_are_both_answered() {
    let (mut digest, mut request, mut mint, mut rounds) =
        (digest(), request(), mint(), Rounds::default());
    let server = challenged(Status::UNAUTHORIZED, &[&md5("a.example", "s", "")]);
    let proxy = challenged(
        Status::PROXY_AUTHENTICATION_REQUIRED,
        &[&md5("a.example", "p", "")],
    );
    let counts = |request: &Request| {
        [Name::Authorization, Name::ProxyAuthorization].map(|name| {
            let answer = request.headers.get(name).unwrap();
            format!("{} {}", field(answer, "nonce"), field(answer, "nc"))
        })
    };
    for response in [&server, &proxy] {
        digest
            .answer(response, &mut request, &mut rounds, &mut mint)
            .unwrap();
    }
    assert_eq!(counts(&request), ["s 00000002", "p 00000001"]);
    let mut next = self::request();
    digest.authorize(&mut next, &mut mint);
    assert_eq!(counts(&next), ["s 00000003", "p 00000002"]);
    // Who asks in turns for ever is not obeyed for ever.
    let again = challenged(Status::UNAUTHORIZED, &[&md5("a.example", "t", "")]);
    let denied = digest.answer(&again, &mut request, &mut rounds, &mut mint);
    assert_eq!(denied, Err(Denied::Rejected));
}

#[test]
fn debug_shows_no_secret() {
    let mut digest = digest();
    let response = challenged(Status::UNAUTHORIZED, &[&md5("a.example", NONCE, "")]);
    digest
        .answer(
            &response,
            &mut request(),
            &mut Rounds::default(),
            &mut mint(),
        )
        .unwrap();
    let shown = format!("{digest:?}");
    assert!(
        !shown.contains("Circle") && !shown.contains("Mufasa"),
        "{shown}"
    );
}

#[test]
fn old_peers_without_quality_of_protection_are_answered_under_md5_only() {
    assert!(Challenge::parse("Digest realm=\"a\", nonce=\"b\"").is_ok());
    let new = Challenge::parse("Digest realm=\"a\", nonce=\"b\", algorithm=SHA-256");
    assert_eq!(new, Err(Denied::Unsupported));
}

#[test]
fn challenges_that_are_none_are_refused() {
    for text in [
        "",
        "Digest",
        "Digest ü=ü",
        "Basic realm=\"x\"",
        "Digest nonce=\"a\"",
        "Digest realm=\"a\", nonce=\"\"",
        "Digest realm=\"ü, nonce=\"ü",
    ] {
        assert!(Challenge::parse(text).is_err(), "{text}");
    }
    let long = format!("Digest realm=\"{}\", nonce=\"x\"", "r".repeat(5000));
    assert_eq!(Challenge::parse(&long), Err(Denied::Unreadable));
}

proptest! {
    #[test]
    fn hostile_challenges_never_panic(
        text in "(Digest )?((realm|nonce|qop|algorithm|opaque|stale|ü)=(\"[ -~ü€]{0,8}\"?|[a-zA-Z0-9-]{0,6}),? ?){0,8}",
    ) {
        let response = challenged(Status::UNAUTHORIZED, &[&text]);
        let mut digest = Digest::new(Credential { user: "ü\"\\".into(), password: "x".into(), realm: None });
        let mut request = request();
        if digest.answer(&response, &mut request, &mut Rounds::default(), &mut mint()).is_ok() {
            let answer = request.headers.get(Name::Authorization).unwrap();
            prop_assert!(!answer.contains(crate::sip::grammar::is_forbidden));
        }
    }
}
