//! What trunks are told by others: registrars, name servers, STUN servers, callers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tandem_b2bua::action::Action;
use tandem_b2bua::admin::Ask;
use tandem_b2bua::caller_name;
use tandem_b2bua::clock::Now;
use tandem_b2bua::core::Core;
use tandem_b2bua::dns::{Answer, Dns, Located, Naptr, Place, Query, Records, Srv, Whose};
use tandem_b2bua::number::{Format, Plan};
use tandem_b2bua::party;
use tandem_b2bua::sip::header::Name;
use tandem_b2bua::sip::parse::{Framing, parse};
use tandem_b2bua::sip::stun::{self, Stun};
use tandem_b2bua::sip::uri::HostPort;
use tandem_b2bua::sip::{Message, Method, NameAddr, Request, Transport};
use tandem_b2bua::trunk::{Pattern, Register, Trunk, Trunks};
use tandem_shared::address::Address;
use tandem_shared::mint::Mint;

use super::script::{Step, steps};
use super::{b2bua, sip, xmpp};

/// A registrar answers REGISTER, step by step, as it likes: status and header lines, in which `@C` is
/// our Contact. One response leads to one request at most, nothing is sent that cannot be read back,
/// and at the end we go although nobody answers.
pub fn registrar(data: &[u8]) {
    let mut bench = Bench::new();
    for step in steps(data) {
        match step {
            Step::Pass(time) => bench.pass(time),
            Step::Envelope(bytes) | Step::Happens(bytes) | Step::Bytes(bytes) => {
                bench.respond(bytes);
            }
        }
        check_text(&bench.core.ask(&Ask::Trunks, bench.now).text);
        for (id, _) in bench.core.trunks().iter() {
            let routes = bench.core.states().service_route(id, None);
            assert!(routes.len() <= 8);
            assert!(routes.iter().all(|route| NameAddr::parse(route).is_ok()));
        }
    }
    bench.core.close(bench.now);
    for _ in 0..10 {
        bench.pass(Duration::from_secs(32));
    }
    assert_eq!(bench.core.in_flight(), 0);
}

struct Bench {
    core: Core,
    now: Now,
    asked: Option<Request>,
    cseq: u32,
    /// Requests since a response came.
    sent: BTreeSet<u32>,
}

impl Bench {
    fn new() -> Self {
        let mut settings = b2bua::settings();
        let trunk = settings
            .trunks
            .iter()
            .next()
            .map(|(_, trunk)| trunk.clone());
        let register = Register {
            user: "4711".into(),
            expires: 3600,
            outbound: true,
            flows: 1,
        };
        let trunk = Trunk {
            register: Some(register),
            ..trunk.expect("there is one")
        };
        settings.trunks = Arc::new(Trunks::new(vec![trunk]));
        let wall = UNIX_EPOCH + Duration::from_secs(1_785_585_600);
        let instant = Instant::now();
        let mut bench = Self {
            core: Core::new(settings, Mint::new([2; 16]), [7; 16], 1),
            now: Now { instant, wall },
            asked: None,
            cseq: 0,
            sent: BTreeSet::new(),
        };
        bench.core.begin(bench.now);
        bench.drain();
        bench
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall += time;
        self.core.handle_timeout(self.now);
        self.drain();
    }

    fn respond(&mut self, text: &[u8]) {
        let Some(request) = &self.asked else {
            return;
        };
        let mut bytes = b"SIP/2.0 ".to_vec();
        let mut lines = text.split(|byte| *byte == b'\n');
        bytes.extend(lines.next().unwrap_or_default());
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            let value = request.headers.get(name).unwrap_or_default();
            bytes.extend(format!("\r\n{name}: {value}").bytes());
        }
        let contact = request.headers.values(Name::Contact).next();
        let contact = contact.unwrap_or_default();
        for line in lines {
            let line = String::from_utf8_lossy(line).replace("@C", contact);
            bytes.extend(format!("\r\n{line}").bytes());
        }
        bytes.extend(b"\r\nContent-Length: 0\r\n\r\n");
        self.sent.clear();
        self.core.handle_sip_packet(sip::flow(), &bytes, self.now);
        self.drain();
        assert!(self.sent.len() <= 1, "{:?}", self.sent);
    }

    fn drain(&mut self) {
        while let Some(action) = self.core.poll_action() {
            let Action::Transmit(transmit) = action else {
                continue;
            };
            if stun::is_stun(&transmit.bytes) || transmit.bytes.as_ref() == b"\r\n\r\n" {
                continue;
            }
            sip::check_ours(&transmit);
            let Ok(Message::Request(request)) = parse(&transmit.bytes, Framing::Stream) else {
                continue;
            };
            if request.method != Method::Register {
                continue;
            }
            let number = request.cseq().expect("we number").number;
            assert!(number >= self.cseq, "{number} after {}", self.cseq);
            assert!(request.headers.count(Name::Contact) <= 2);
            self.cseq = number;
            self.sent.insert(number);
            self.asked = Some(request);
        }
    }
}

/// Whatever name servers say, asking ends, for a bounded number of names, in a bounded number of places;
/// and the name a certificate must bear is never theirs. The first line is the domain, with a port if it
/// has one and perhaps a transport behind it; each other line is a record: `n` order, preference, flags,
/// service, replacement; `s` priority, weight, port, target; `a` address.
pub fn dns(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let Ok(domain) = HostPort::parse(words.next().unwrap_or_default()) else {
        return;
    };
    let all = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Ws,
        Transport::Wss,
    ];
    let wanted = words.next().unwrap_or_default();
    let place = Place {
        host: domain.host.clone(),
        port: domain.port,
        transport: all.into_iter().find(|one| one.as_str() == wanted),
        tls_name: None,
        profile: Default::default(),
    };
    let (mut naptr, mut srv, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    // As many as the shell takes.
    for line in lines.take(64) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|text| text.parse().ok());
        let word = |at: usize| words.get(at).copied().unwrap_or_default().into();
        match words.first() {
            Some(&"n") => naptr.push(Naptr {
                order: number(1).unwrap_or_default(),
                preference: number(2).unwrap_or_default(),
                flags: word(3),
                service: word(4),
                replacement: word(5),
            }),
            Some(&"s") => srv.push(Srv {
                priority: number(1).unwrap_or_default(),
                weight: number(2).unwrap_or_default(),
                port: number(3).unwrap_or_default(),
                target: word(4),
            }),
            Some(&"a") => {
                addresses.extend(words.get(1).and_then(|text| text.parse::<IpAddr>().ok()))
            }
            Some(_) | None => {}
        }
    }
    let (mut dns, mut mint, now) = (Dns::default(), Mint::new([4; 16]), Instant::now());
    let mut questions = 0;
    // NAPTR, SRV, addresses, and then it is known.
    for _ in 0..4 {
        let Located::Hops(hops) = dns.locate(Whose::All, &place, &mut mint, now) else {
            while let Some(query) = dns.poll_query() {
                questions += 1;
                let records = match query {
                    Query::Naptr(_) => Records::Naptr(naptr.clone()),
                    Query::Srv(_) => Records::Srv(srv.clone()),
                    Query::Addresses(_) => Records::Addresses(addresses.clone()),
                };
                let answer = Answer::Found(records, Duration::from_secs(60));
                dns.handle_answer(query, answer, now);
            }
            assert!(questions <= 200, "{questions} questions");
            continue;
        };
        assert!(hops.len() <= 64, "{} places", hops.len());
        for hop in hops {
            assert!(hop.host.ip().is_some());
            let name = hop.server_name.as_deref();
            assert!(name.is_none_or(|name| name == domain.host.to_string()));
        }
        return;
    }
    panic!("it never ends");
}

/// What is STUN is no SIP; an answer to a request says to whom it is. The bytes are also taken for the
/// attributes of a request and of its answers.
pub fn stun(data: &[u8]) {
    one_stun(data);
    let head = stun::request(stun::TransactionId::mint(&mut Mint::new([6; 16])));
    let attributes = data.get(..data.len() / 4 * 4).unwrap_or_default();
    let length = u16::try_from(attributes.len()).unwrap_or_default();
    for kind in [0x0001_u16, 0x0101, 0x0111] {
        let mut bytes = Vec::with_capacity(head.len() + attributes.len());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(&head[4..]);
        bytes.extend(attributes);
        one_stun(&bytes);
    }
}

fn one_stun(bytes: &[u8]) {
    if stun::is_stun(bytes) {
        assert!(parse(bytes, Framing::Datagram).is_err());
    }
    match stun::read(bytes) {
        Some(Stun::Request(id)) => {
            let peer = SocketAddr::from(([192, 0, 2, 1], 5060));
            let answer = stun::answer(id, peer);
            assert_eq!(stun::read(&answer), Some(Stun::Success(id, Some(peer))));
        }
        Some(Stun::Success(_, Some(seen))) => {
            assert!(seen.port() != 0 && !seen.ip().is_unspecified());
        }
        Some(Stun::Success(_, None) | Stun::Failure(_)) | None => {}
    }
}

/// The lines of an input are a plan (country, prefix abroad, prefix within, digits without), a number and
/// a pattern. A number has one form, which every trunk writes so that nobody else is called.
pub fn number(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (head, number, pattern) = (line(), line(), line());
    let digits = |text: &str| {
        text.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let mut words = head.split(' ');
    let mut word = || digits(words.next().unwrap_or_default());
    let (country, abroad, within, bare) = (word(), word(), word(), word());
    let country = country.trim_start_matches('0').chars().take(3).collect();
    let plan = Plan {
        country: Some(country).filter(|code: &String| !code.is_empty()),
        international: vec![abroad],
        national: within,
        bare: bare.parse().unwrap_or_default(),
    };
    if let Some(global) = plan.normalise(number) {
        let digits = global.strip_prefix('+').expect("a global number");
        assert!((2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(plan.normalise(&global).as_ref(), Some(&global));
        for format in [Format::Plus, Format::Bare, Format::National] {
            let written = plan.write(&global, format);
            let plain = written.trim_start_matches('+').bytes();
            assert!(plain.clone().count() > 0 && plain.clone().all(|byte| byte.is_ascii_digit()));
        }
        // What is dialled as abroad is the number it says.
        let national = plan.write(&global, Format::National);
        let prefix = plan.international.first().map_or("", String::as_str);
        if let Some(rest) = national.strip_prefix(prefix).filter(|_| !prefix.is_empty()) {
            assert_eq!(rest, digits, "{global} is written {national}");
        }
    }
    for format in [Format::Plus, Format::Bare, Format::National] {
        if let Some(read) = plan.read(number, format) {
            assert_eq!(plan.normalise(&read), Some(read));
        }
    }
    if let Ok(pattern) = pattern.parse::<Pattern>() {
        let again: Pattern = pattern.to_string().parse().expect("a pattern");
        assert_eq!(again, pattern);
        if let Ok(contact) = Address::new(number, "sip.example.com") {
            let _ = pattern.fit(&contact, "sip.example.com");
        }
    }
}

/// Whoever a request says it is from, and whatever a trunk says of it: it is none of our users, and its
/// name is one line of bounded length.
pub fn party(data: &[u8]) {
    let Ok(Message::Request(request)) = parse(data, Framing::Datagram) else {
        return;
    };
    let settings = b2bua::settings();
    let trunks: Vec<&Trunk> = settings.trunks.iter().map(|(_, trunk)| trunk).collect();
    assert!(trunks.iter().any(|trunk| trunk.trust_identity));
    for trunk in trunks.into_iter().map(Some).chain([None]) {
        if let Ok(sender) = party::sender(&request, trunk, &settings) {
            assert!(!xmpp::mapping().serves(&sender.host));
            assert!(xmpp::mapping().contact_to_jid(&sender).is_ok());
        }
        if let Ok(users) = party::recipients(&request, trunk, &settings) {
            assert!(!users.is_empty());
            assert!(users.iter().all(|user| xmpp::mapping().serves(&user.host)));
        }
        if let Some(name) = caller_name::of(&request, trunk) {
            assert!(!name.is_empty() && name.chars().count() <= 200);
            assert!(!name.contains(|c: char| c.is_control() || c == '\u{202e}'));
        }
    }
}

/// Each line is a question of an admin's tool. The answer is text for a terminal.
pub fn admin(data: &[u8]) {
    let mut core = Core::new(b2bua::settings(), Mint::new([2; 16]), [7; 16], 1);
    let now = Now {
        instant: Instant::now(),
        wall: UNIX_EPOCH,
    };
    for line in data.split(|byte| *byte == b'\n').take(8) {
        let Ok(ask) = serde_json::from_slice::<Ask>(line) else {
            continue;
        };
        let again = serde_json::to_vec(&ask).expect("a question");
        assert_eq!(
            serde_json::from_slice::<Ask>(&again).ok(),
            Some(ask.clone())
        );
        check_text(&core.ask(&ask, now).text);
        while core.poll_action().is_some() {}
    }
}

fn check_text(text: &str) {
    assert!(text.len() <= 64 * 1024);
    let strange = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(strange), "{text:?}");
}
