//! Registrars that answer oddly (N01): each row is a trunk of its own, and all register at once.

use std::cell::Cell;

use anyhow::{Context, Result, ensure};
use integration_tests::names::Names;
use integration_tests::sip::{Agent, Message, Received};
use integration_tests::tandem::{Trunk, with_tandem_within};

use super::challenge;
use crate::scene::{LIMIT, Scene, account};

/// What the registrar does.
type Script = fn(&Registrar) -> Result<()>;

/// One that has seen requests up to this CSeq; copies of those are nothing new.
struct Registrar {
    agent: Agent,
    seen: Cell<u32>,
}

impl Registrar {
    fn is_new(&self, message: &Message) -> bool {
        message.method() == Some("REGISTER") && number(message) > self.seen.get()
    }
}

fn number(message: &Message) -> u32 {
    let cseq = message.header("CSeq");
    let number = cseq.split(' ').next();
    number
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// A name, a script, and what Tandem says of it in its log.
const ROWS: &[(&str, Script, &str)] = &[
    (
        "takes it and says nothing of it",
        |it| next(it)?.reply(200, "OK"),
        "seconds=3600",
    ),
    (
        "lists many",
        |it| {
            let request = next(it)?;
            let many: Vec<String> = (0..300)
                .map(|number| format!("<sip:tandem@10.0.0.{number}>;expires=9"))
                .collect();
            let own = contact(&request, 77);
            request.reply_with(
                200,
                "OK",
                &[
                    ("Contact", "*"),
                    ("Contact", &own),
                    ("Contact", &many[..20].join(",")),
                    ("Expires", "5"),
                ],
            )
        },
        "seconds=77",
    ),
    (
        "grants less",
        |it| {
            for seconds in [2, 600] {
                let request = next(it)?;
                request.reply_with(200, "OK", &[("Contact", &contact(&request, seconds))])?;
            }
            Ok(())
        },
        "seconds=2",
    ),
    (
        "grants for ever",
        |it| {
            let request = next(it)?;
            request.reply_with(200, "OK", &[("Contact", &contact(&request, u32::MAX))])
        },
        "seconds=604800",
    ),
    (
        "grants nothing",
        |it| {
            let request = next(it)?;
            request.reply_with(200, "OK", &[("Contact", &contact(&request, 0))])
        },
        "keeps no registration",
    ),
    (
        "wants longer",
        |it| {
            next(it)?.reply_with(423, "Brief", &[("Min-Expires", "7200")])?;
            let longer = next(it)?;
            ensure!(
                longer.message.header("Expires") == "7200",
                "{}",
                longer.message
            );
            longer.reply_with(200, "OK", &[("Expires", "7200")])
        },
        "seconds=7200",
    ),
    (
        "wants ever longer",
        |it| {
            next(it)?.reply_with(423, "Brief", &[("Min-Expires", "3601")])?;
            next(it)?.reply_with(423, "Ever longer", &[("Min-Expires", "3602")])
        },
        "423 Ever longer",
    ),
    (
        "wants shorter for being brief",
        |it| next(it)?.reply_with(423, "Odd", &[("Min-Expires", "60")]),
        "423 Odd",
    ),
    (
        "wants a word",
        |it| next(it)?.reply_with(423, "Word", &[("Min-Expires", "soon")]),
        "423 Word",
    ),
    (
        "wants a century",
        |it| next(it)?.reply_with(423, "Century", &[("Min-Expires", "3155760000")]),
        "423 Century",
    ),
    (
        "asks with ever new nonces",
        |it| {
            next(it)?.reply_with(401, "Who?", &[("WWW-Authenticate", &challenge("a", ""))])?;
            next(it)?.reply_with(
                401,
                "Who now?",
                &[("WWW-Authenticate", &challenge("b", ""))],
            )
        },
        "401 Who now?",
    ),
    (
        "asks twice over",
        |it| {
            next(it)?.reply_with(401, "Who?", &[("WWW-Authenticate", &challenge("a", ""))])?;
            next(it)?.reply_with(407, "Who?", &[("Proxy-Authenticate", &challenge("b", ""))])?;
            let both = next(it)?;
            for (name, nonce) in [("Authorization", "\"a\""), ("Proxy-Authorization", "\"b\"")] {
                ensure!(
                    both.message.header(name).contains(nonce),
                    "{}",
                    both.message
                );
            }
            both.reply_with(200, "OK", &[("Expires", "99")])
        },
        "seconds=99",
    ),
    (
        "sends elsewhere",
        |it| next(it)?.reply_with(302, "Moved", &[("Contact", "<sip:127.0.0.3:5090>")]),
        "302 Moved",
    ),
    (
        "is down for ever",
        |it| next(it)?.reply_with(503, "Storm", &[("Retry-After", "4294967296")]),
        "503 Storm",
    ),
    (
        "says no in two lines",
        |it| {
            next(it)?.reply_with(
                403,
                "No\u{1b}[31m \u{202e}",
                &[("Warning", "399 x \"gone\u{7}\"")],
            )
        },
        "403 No",
    ),
];

fn next(registrar: &Registrar) -> Result<Received> {
    let is_new = |message: &Message| registrar.is_new(message);
    let request = registrar.agent.expect("a new REGISTER", is_new)?;
    registrar.seen.set(number(&request.message));
    Ok(request)
}

/// Our Contact of `request`, for so long.
fn contact(request: &Received, seconds: u32) -> String {
    format!("{};expires={seconds}", request.message.header("Contact"))
}

#[test]
fn a_registrar_is_believed_within_reason() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let elsewhere = Agent::bind("127.0.0.3:5090")?;
        let places: Vec<[String; 3]> = (0..ROWS.len())
            .map(|row| {
                [
                    format!("row{row}"),
                    format!("*@row{row}.test"),
                    format!("127.0.0.1:{}", 5200 + row),
                ]
            })
            .collect();
        let registrars: Vec<Registrar> = places
            .iter()
            .map(|[_, _, place]| {
                let (agent, seen) = (Agent::bind(place)?, Cell::new(0));
                Ok(Registrar { agent, seen })
            })
            .collect::<Result<_>>()?;
        let trunks = places.iter().map(|[name, matches, place]| Trunk {
            name,
            matches,
            next_hop: place,
            ..account("udp", "pw-tandem", "register = true")
        });
        let scene = Scene::open(bench, trunks.collect(), "")?;
        for ((registrar, [trunk, ..]), (name, script, said)) in
            registrars.iter().zip(&places).zip(ROWS)
        {
            let attempt = || -> Result<()> {
                script(registrar)?;
                let mut tandem = scene.tandem.borrow_mut();
                let named = format!("trunk=\"{trunk}\"");
                let line = tandem.b2bua.wait_log_where(0, said, |line| {
                    (line.contains(&named) && line.contains(said)).then(|| line.to_owned())
                })?;
                ensure!(!line.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{line:?}");
                registrar
                    .agent
                    .expect_none("one more", |message| registrar.is_new(message))
            };
            attempt().with_context(|| (*name).to_owned())?;
        }
        elsewhere.expect_none("a request", |_| true)?;
        Ok(())
    })
}
