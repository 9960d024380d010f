use super::*;
use crate::sip::digest::{Credential, Digest, Rounds};
use crate::sip::message::Response;
use crate::sip::method::Method;
use crate::sip::status::Status;
use crate::sip::uri::Uri;
use tandem_shared::mint::Mint;

const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

/// A guard with one account, a time, and a client with a password.
struct Bench {
    guard: Guard,
    now: Instant,
    client: Digest,
    mint: Mint,
}

fn account(number: usize, user: &str, password: &str) -> Account {
    Account {
        number,
        user: user.into(),
        password: password.into(),
    }
}

fn guard() -> Guard {
    let accounts = vec![
        account(3, "other", "x"),
        account(7, "pbx", "Circle of Life"),
    ];
    Guard::new(accounts, "sip.example.com", [9; 16])
}

impl Bench {
    fn new(user: &str, password: &str) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to count from"
        )]
        let now = Instant::now();
        let mut guard = guard();
        guard.begin(now);
        let credential = Credential {
            user: user.into(),
            password: password.into(),
            realm: None,
        };
        Self {
            guard,
            now,
            client: Digest::new(credential),
            mint: Mint::new([3; 16]),
        }
    }

    /// The request again with an answer to the challenges that `which` chooses of.
    fn answered(&mut self, which: impl Fn(&str) -> bool) -> Request {
        let mut response = Response::to(&request(), Status::UNAUTHORIZED);
        for challenge in self.guard.challenge(SOURCE, false, self.now) {
            if which(&challenge) {
                response = response.with(Name::WwwAuthenticate, &challenge);
            }
        }
        let mut request = request();
        let rounds = &mut Rounds::default();
        let answered = self
            .client
            .answer(&response, &mut request, rounds, &mut self.mint);
        answered.unwrap();
        request
    }

    fn check(&mut self, request: &Request) -> Verdict {
        self.guard.check(request, SOURCE, self.now)
    }

    /// The next request under the same nonce.
    fn next(&mut self) -> Request {
        let mut request = request();
        self.client.authorize(&mut request, &mut self.mint);
        request
    }
}

fn request() -> Request {
    Request::new(Method::Message, Uri::parse("sip:bob@example.com").unwrap())
}

fn with(value: &str) -> Request {
    let mut request = request();
    request.headers.push(Name::Authorization, value);
    request
}

#[test]
fn the_hash_is_that_of_the_specification() {
    // RFC 7616 §3.9.1.
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let text = format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
             algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let answer = Answer::read(&text).ok().unwrap();
        assert_eq!(answer.hash("Circle of Life", "GET"), response);
        assert_eq!(&*answer.response, response);
    }
}

#[test]
fn the_better_algorithm_is_asked_for_first_and_both_are_taken() {
    let mut bench = Bench::new("pbx", "Circle of Life");
    let asked = bench.guard.challenge(SOURCE, false, bench.now);
    let [first, second] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert!(first.contains("algorithm=SHA-256") && second.contains("algorithm=MD5"));
    assert!(first.contains("realm=\"sip.example.com\"") && first.contains("qop=\"auth\""));
    assert!(!first.contains("stale"));
    for algorithm in ["SHA-256", "MD5"] {
        let mut bench = Bench::new("pbx", "Circle of Life");
        let request = bench.answered(|challenge| challenge.contains(algorithm));
        let value = request.headers.get(Name::Authorization).unwrap();
        assert!(value.contains(&format!("algorithm={algorithm}")), "{value}");
        assert_eq!(bench.check(&request), Verdict::Known(7));
    }
}

#[test]
fn an_algorithm_that_is_not_asked_for_is_not_taken() {
    let mut bench = Bench::new("pbx", "Circle of Life");
    let request = bench.answered(|challenge| challenge.contains("MD5"));
    bench.guard = guard().with_algorithms(&[Algorithm::Sha256]);
    bench.guard.begin(bench.now);
    assert_eq!(bench.guard.challenge(SOURCE, false, bench.now).len(), 1);
    assert_eq!(bench.check(&request), Verdict::Wrong);
}

#[test]
fn a_wrong_user_is_no_other_than_a_wrong_password() {
    for (user, password) in [
        ("pbx", "circle of life"),
        ("nobody", "Circle of Life"),
        ("nobody", ""),
        ("other", "Circle of Life"),
        ("pbx", ""),
    ] {
        let mut bench = Bench::new(user, password);
        let request = bench.answered(|_| true);
        assert_eq!(bench.check(&request), Verdict::Wrong);
    }
}

#[test]
fn nothing_is_taken_twice_and_counts_may_come_out_of_order() {
    let mut bench = Bench::new("pbx", "Circle of Life");
    let first = bench.answered(|_| true);
    let (second, third) = (bench.next(), bench.next());
    assert_eq!(bench.check(&first), Verdict::Known(7));
    assert_eq!(bench.check(&first), Verdict::Stale);
    assert_eq!(bench.check(&third), Verdict::Known(7));
    assert_eq!(bench.check(&second), Verdict::Known(7));
    assert_eq!(bench.check(&second), Verdict::Stale);
    for _ in 0..100 {
        let later = bench.next();
        assert_eq!(bench.check(&later), Verdict::Known(7));
    }
    assert_eq!(bench.check(&third), Verdict::Stale);
}

#[test]
fn a_nonce_is_good_for_a_while_for_its_source_and_in_its_process() {
    let mut bench = Bench::new("pbx", "Circle of Life");
    let request = bench.answered(|_| true);
    let elsewhere = IpAddr::from([203, 0, 113, 10]);
    let now = bench.now;
    assert_eq!(bench.guard.check(&request, elsewhere, now), Verdict::Stale);
    bench.now += LIFE;
    assert_eq!(bench.check(&request), Verdict::Stale);
    bench.now = now + LIFE - Duration::from_secs(1);
    assert_eq!(bench.check(&request), Verdict::Known(7));
    let mut bench = Bench::new("pbx", "Circle of Life");
    let request = bench.answered(|_| true);
    bench.guard.key = [8; 16];
    assert_eq!(bench.check(&request), Verdict::Stale);
    let asked = bench.guard.challenge(SOURCE, true, bench.now);
    assert!(asked.iter().all(|it| it.ends_with(", stale=true")));
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_forgotten_is_not_taken() {
    let mut bench = Bench::new("pbx", "Circle of Life");
    let first = bench.answered(|_| true);
    assert_eq!(bench.check(&first), Verdict::Known(7));
    // Who does not know the password leaves nothing behind.
    let stranger = with(
        "Digest username=\"x\", realm=\"sip.example.com\", nonce=\"n\", uri=\"u\", response=\"r\"",
    );
    assert_eq!(bench.check(&stranger), Verdict::Wrong);
    assert_eq!(bench.guard.used.len(), 1);
    for _ in 0..=MAX_USED {
        let request = bench.answered(|challenge| challenge.contains("MD5"));
        assert_eq!(bench.check(&request), Verdict::Known(7));
    }
    assert_eq!(bench.guard.used.len(), MAX_USED);
    assert_eq!(bench.check(&first), Verdict::Stale);
}

#[test]
fn who_knows_no_quality_of_protection_is_taken_once_for_each_nonce() {
    let mut bench = Bench::new("pbx", "Circle of Life");
    let nonce = bench.guard.nonce(0, 1, SOURCE);
    let mut text = format!(
        "Digest username=\"pbx\",realm=\"sip.example.com\",nonce=\"{nonce}\",uri=\"sip:b@c\",response=\"\""
    );
    let answer = Answer::read(&text).ok().unwrap();
    let response = answer.hash("Circle of Life", "MESSAGE").to_uppercase();
    text = text.replace("response=\"\"", &format!("response=\"{response}\""));
    assert_eq!(bench.check(&with(&text)), Verdict::Known(7));
    assert_eq!(bench.check(&with(&text)), Verdict::Stale);
    let better = text.replace("Digest ", "Digest algorithm=SHA-256,");
    assert_eq!(bench.check(&with(&better)), Verdict::Wrong);
}

#[test]
fn credentials_for_others_are_none_and_odd_ones_are_wrong() {
    let mut bench = Bench::new("pbx", "Circle of Life");
    assert_eq!(bench.check(&request()), Verdict::Nothing);
    let other = "Digest username=\"pbx\", realm=\"else\", nonce=\"n\", uri=\"u\", response=\"r\"";
    assert_eq!(bench.check(&with(other)), Verdict::Nothing);
    for odd in [
        "Digest",
        "Basic cGJ4OkNpcmNsZQ==",
        "Digest realm=\"sip.example.com\"",
        "Digest username=\"pbx\", realm=\"sip.example.com\", nonce=\"\", uri=\"\", response=\"\"",
        "Digest username=\"pbx\", realm=\"sip.example.com\", nonce=\"ü\u{1f600}\", uri=\"\", response=\"ü\"",
        "Digest username=\"pbx\", realm=\"sip.example.com\", nonce=\"n\", uri=\"u\", response=\"r\", qop=auth",
        "Digest username=\"pbx\", realm=\"sip.example.com\", nonce=\"n\", uri=\"u\", response=\"r\", algorithm=MD5-sess",
    ] {
        assert_eq!(bench.check(&with(odd)), Verdict::Wrong, "{odd}");
    }
    let long = format!("Digest realm=\"{}\"", "x".repeat(MAX_LEN));
    assert_eq!(bench.check(&with(&long)), Verdict::Wrong);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", guard());
    assert!(
        !shown.contains("Circle") && !shown.contains("pbx"),
        "{shown}"
    );
}
