//! Calls that a provider does not let come about, each in its own way.

use anyhow::{Context, Result, ensure};
use integration_tests::names::Names;
use integration_tests::sip::{Agent, Called};
use integration_tests::tandem::with_tandem_within;

use super::{challenge, trunk};
use crate::scene::{LIMIT, SOUND, Scene};

/// What the provider says to an INVITE.
type Script = fn(&Scene, &Called<'_>) -> Result<()>;

/// A name, a script, the reason the client is told, and a word of the text beside it.
const ROWS: &[(&str, Script, &str, &str)] = &[
    // A redirect is never followed: whoever answers would choose whom we pay for (T13).
    (
        "302 to another place",
        |_, called| called.refuse(302, &[("Contact", "<sip:+15559009@127.0.0.3:5090>")]),
        "gone",
        "another address",
    ),
    (
        "302 to a dear number",
        |_, called| {
            called.refuse(
                302,
                &[(
                    "Contact",
                    "<sip:+19005551234@127.0.0.1:5090>;q=0.9, <tel:+88212345>",
                )],
            )
        },
        "gone",
        "another address",
    ),
    (
        "300 with many",
        |_, called| {
            called.refuse(
                300,
                &[("Contact", "<sip:a@127.0.0.3>, <sip:b@127.0.0.3>, *")],
            )
        },
        "gone",
        "another address",
    ),
    (
        "305",
        |_, called| called.refuse(305, &[("Contact", "<sip:127.0.0.3:5090>")]),
        "gone",
        "another address",
    ),
    (
        "420",
        |_, called| called.refuse(420, &[("Unsupported", "timer, 100rel")]),
        "general-error",
        "",
    ),
    (
        "421",
        |_, called| called.refuse(421, &[("Require", "x-billing")]),
        "general-error",
        "",
    ),
    (
        "a progress that requires what nobody knows",
        |_, called| {
            called.reply(183, &[("Require", "x-billing")], "")?;
            called.refuse(486, &[])
        },
        "busy",
        "",
    ),
    (
        "a reliable progress without number",
        |_, called| {
            called.reply(183, &[("Require", "100rel")], SOUND)?;
            called.refuse(486, &[])
        },
        "busy",
        "",
    ),
    (
        "ringing behind sound",
        |_, called| {
            called.reply(183, &[], SOUND)?;
            called.reply(180, &[], "")?;
            called.reply(183, &[], SOUND)?;
            called.refuse(480, &[])
        },
        "timeout",
        "",
    ),
    (
        "503 for longer than there will be a world",
        |_, called| called.refuse(503, &[("Retry-After", "18446744073709551615")]),
        "connectivity-error",
        "",
    ),
    (
        "503 for a time in words",
        |_, called| called.refuse(503, &[("Retry-After", "soon (we hope);duration=x")]),
        "connectivity-error",
        "",
    ),
    (
        "503 again",
        |_, called| called.refuse(503, &[("Retry-After", "-1")]),
        "connectivity-error",
        "",
    ),
    (
        "401 without a challenge",
        |_, called| called.refuse(401, &[]),
        "security-error",
        "authenticate",
    ),
    (
        "401 in a scheme nobody has",
        |_, called| {
            called.refuse(
                401,
                &[("WWW-Authenticate", "Negotiate x, Bearer realm=\"y\"")],
            )
        },
        "security-error",
        "authenticate",
    ),
    (
        "401 with ever new nonces",
        |scene, called| ask_for_ever(scene, called, &[(401, "")]),
        "security-error",
        "authenticate",
    ),
    (
        "401 with ever new nonces, each of them old",
        |scene, called| {
            ask_for_ever(
                scene,
                called,
                &[(401, ", stale=true"), (401, ", stale=true")],
            )
        },
        "security-error",
        "authenticate",
    ),
    (
        "401 and 407 in turns",
        |scene, called| ask_for_ever(scene, called, &[(401, ""), (407, "")]),
        "security-error",
        "authenticate",
    ),
    (
        "200 with a description of nothing",
        |_, called| end_of(called, "v=0\r\nrubbish"),
        "incompatible-parameters",
        "audio",
    ),
    (
        "200 without any",
        |_, called| end_of(called, ""),
        "incompatible-parameters",
        "",
    ),
    (
        "200 with the sound turned down",
        |_, called| end_of(called, &SOUND.replace("49170", "0")),
        "incompatible-parameters",
        "",
    ),
    (
        "200 with a codec nobody offered",
        |_, called| end_of(called, &SOUND.replace("AVP 8", "AVP 97")),
        "incompatible-parameters",
        "",
    ),
    (
        "200 and BYE in one breath",
        |_, called| called.accept(&[], SOUND)?.hang_up(&[]),
        "success",
        "",
    ),
];

/// Answers, is hung up on, and takes that.
fn end_of(called: &Called<'_>, description: &str) -> Result<()> {
    called.accept(&[], description)?.wait_hung_up().map(drop)
}

/// Asks for a password again and again, in these ways, until nobody gives one any more.
fn ask_for_ever(scene: &Scene, first: &Called<'_>, rounds: &[(u16, &str)]) -> Result<()> {
    let refuse = |called: &Called<'_>, nonce: usize, (status, more): (u16, &str)| {
        let name = match status {
            401 => "WWW-Authenticate",
            _ => "Proxy-Authenticate",
        };
        called.refuse(status, &[(name, &challenge(&format!("n{nonce}"), more))])
    };
    let Some((begin, _)) = rounds.split_first() else {
        return Ok(());
    };
    refuse(first, 0, *begin)?;
    for (nonce, round) in (1..).zip(rounds.iter().skip(1).chain([begin])) {
        let again = scene.network.wait_called()?;
        let call_id = first.invite.message.header("Call-ID");
        ensure!(again.invite.message.header("Call-ID") == call_id);
        refuse(&again, nonce, *round)?;
    }
    Ok(())
}

#[test]
fn a_call_that_is_not_taken_ends_in_words() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk()], "")?;
        let elsewhere = Agent::bind("127.0.0.3:5090")?;
        for (name, script, reason, word) in ROWS {
            let attempt = || -> Result<()> {
                let sid = scene
                    .alice
                    .call(&format!("{}/sip", scene.contact("+15559001")))?;
                script(&scene, &scene.network.wait_called()?)?;
                let ended = scene.alice.wait_event("ended", &sid)?;
                ensure!(ended.reason == *reason, "{ended:?}");
                ensure!(ended.text.contains(word), "{ended:?}");
                scene.network.expect_none("a second call", |message| {
                    message.method() == Some("INVITE")
                })
            };
            attempt().with_context(|| (*name).to_owned())?;
        }
        elsewhere.expect_none("a request", |_| true)?;
        let call = scene.call_out("+15559002")?;
        scene.hang_up(call)?;
        scene.close(&[])
    })
}
