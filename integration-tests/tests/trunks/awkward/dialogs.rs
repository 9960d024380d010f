//! Calls that come about, and whose other end is odd.

use anyhow::{Context, Result, ensure};
use integration_tests::audio::Law;
use integration_tests::names::Names;
use integration_tests::rtp::{Peer, Stream, media_address};
use integration_tests::sip::{Agent, Called, Dialog, Draft};
use integration_tests::tandem::with_tandem_within;

use super::{challenge, trunk};
use crate::scene::{LIMIT, SOUND, Scene};

/// What becomes of a call of alice's with this sid, to its end.
type Script = fn(&Scene, &str, &Called<'_>) -> Result<()>;

const ROWS: &[(&str, Script)] = &[
    ("another Contact with each response", another_contact),
    ("copies of the 200", |scene, sid, called| {
        for _ in 0..3 {
            called.reply(200, &[], SOUND)?;
            called.dialog().expect("ACK")?;
        }
        scene.alice.wait_accepted(sid)?;
        end(scene, sid, &mut called.dialog())
    }),
    (
        "short names, no length, several parts",
        |scene, sid, called| {
            let parts = format!(
                "--cut\r\nContent-Type: application/isup\r\n\r\n\u{1}\r\n--cut\r\nContent-Type: application/sdp\r\n\r\n{SOUND}\r\n--cut--\r\n"
            );
            let (to, extra) = (
                ";tag=agent",
                format!("c: multipart/mixed;boundary=cut\r\n\r\n{parts}"),
            );
            called
                .invite
                .path
                .send(compact(called, to, &extra).as_bytes())?;
            called.dialog().expect("ACK")?;
            scene.alice.wait_accepted(sid)?;
            end(scene, sid, &mut called.dialog())
        },
    ),
    // RFC 2543 knew no tags.
    ("a 200 without tag", |scene, sid, called| {
        called
            .invite
            .path
            .send(compact(called, "", &format!("c: application/sdp\r\n\r\n{SOUND}")).as_bytes())?;
        let ack = called.dialog().expect("ACK")?;
        ensure!(
            !ack.message.header("To").contains("tag="),
            "{}",
            ack.message
        );
        scene.alice.wait_accepted(sid)?;
        scene.alice.end(sid, "success")?;
        let bye = called.dialog().wait_hung_up()?;
        ensure!(!bye.header("To").contains("tag="), "{bye}");
        Ok(())
    }),
    ("a password for the BYE", |scene, sid, called| {
        let dialog = called.accept(&[], SOUND)?;
        scene.alice.wait_accepted(sid)?;
        scene.alice.end(sid, "success")?;
        let asked = dialog.expect("BYE")?;
        asked.reply_with(407, "Who?", &[("Proxy-Authenticate", &challenge("b", ""))])?;
        let bye = dialog.wait_hung_up()?;
        ensure!(
            bye.header("Proxy-Authorization").contains("nonce=\"b\""),
            "{bye}"
        );
        ensure!(
            number(&bye.header("CSeq")) > number(&asked.message.header("CSeq")),
            "{bye}"
        );
        Ok(())
    }),
    ("ever new passwords for the BYE", |scene, sid, called| {
        let dialog = called.accept(&[], SOUND)?;
        scene.alice.wait_accepted(sid)?;
        scene.alice.end(sid, "success")?;
        for nonce in ["c", "d"] {
            let more = [("WWW-Authenticate", &*challenge(nonce, ""))];
            dialog.expect("BYE")?.reply_with(401, "Who?", &more)?;
        }
        Ok(())
    }),
    ("a BYE for a call nobody knows", |scene, sid, called| {
        let dialog = called.accept(&[], SOUND)?;
        scene.alice.wait_accepted(sid)?;
        scene.alice.end(sid, "success")?;
        dialog.expect("BYE")?.reply(481, "What?")
    }),
    ("a change before the answer", |scene, sid, called| {
        called.reply(183, &[], SOUND)?;
        let mut early = called.dialog();
        // A mere refresh changes nothing; an offer before the answer to ours is out of turn (RFC 3311 §5.2).
        let refresh = early.ask("UPDATE", &[], ("", ""))?;
        ensure!(refresh.status() == Some(200), "{refresh}");
        let offer = early.ask("UPDATE", &[], ("application/sdp", SOUND))?;
        ensure!(matches!(offer.status(), Some(491 | 500)), "{offer}");
        called.reply(180, &[], "")?;
        called.reply(200, &[], SOUND)?;
        early.expect("ACK")?;
        scene.alice.wait_accepted(sid)?;
        end(scene, sid, &mut early)
    }),
    ("requests nobody takes", |scene, sid, called| {
        let mut dialog = called.accept(
            &[
                ("Require", "timer"),
                ("Session-Expires", "1800;refresher=uac"),
            ],
            SOUND,
        )?;
        scene.alice.wait_accepted(sid)?;
        for (method, headers) in [
            ("NOTIFY", &[("Event", "x")][..]),
            ("SUBSCRIBE", &[("Event", "x")]),
            ("PUBLISH", &[]),
            ("FOO", &[]),
            ("INVITE", &[("Require", "x-billing")]),
        ] {
            let answer = dialog.ask(method, headers, ("", ""))?;
            ensure!(
                answer
                    .status()
                    .is_some_and(|status| (400..600).contains(&status)),
                "{method}: {answer}"
            );
        }
        end(scene, sid, &mut dialog)
    }),
];

/// The provider hangs up, and alice is told.
fn end(scene: &Scene, sid: &str, dialog: &mut Dialog<'_>) -> Result<()> {
    dialog.hang_up(&[])?;
    let reason = scene.alice.wait_ended(sid)?;
    ensure!(reason == "success", "ended with {reason}");
    Ok(())
}

/// Each time the next request goes where the last response said (RFC 3261 §12.1.2, §12.2.1.2).
fn another_contact(scene: &Scene, sid: &str, called: &Called<'_>) -> Result<()> {
    let second = Agent::bind("127.0.0.1:5091")?;
    let contact = |uri| [("Contact", uri)];
    let invite = &called.invite;
    invite.reply_as(
        "agent",
        (183, "One"),
        &contact("<sip:one@127.0.0.1:5090>"),
        SOUND,
    )?;
    scene.alice.wait_ringing(sid)?;
    invite.reply_as(
        "agent",
        (200, "Two"),
        &contact("\"Two\" <sip:two@127.0.0.1:5091;x=y>;expires=9"),
        SOUND,
    )?;
    let ack = second.expect_request("ACK")?;
    ensure!(
        ack.message.uri() == "sip:two@127.0.0.1:5091;x=y",
        "{}",
        ack.message
    );
    scene.alice.wait_accepted(sid)?;
    let message = &invite.message;
    let request = |method: &str| {
        Draft::new(method, "sip:tandem@127.0.0.1:5060")
            .with("From", &format!("{};tag=agent", message.header("To")))
            .with("To", &message.header("From"))
            .with("Call-ID", &message.header("Call-ID"))
            .with("CSeq", &format!("7 {method}"))
            .with("Contact", "<sip:three@127.0.0.1:5090>")
    };
    let path = second.udp_to(integration_tests::kamailio::GATEWAY)?;
    let change = request("INVITE").with_body("application/sdp", SOUND.as_bytes());
    let answer = second.ask(&change, &path)?;
    ensure!(answer.status() == Some(200), "{answer}");
    path.send(&request("ACK").to_bytes(&path))?;
    scene.alice.end(sid, "success")?;
    let bye = called.dialog().wait_hung_up()?;
    ensure!(bye.uri() == "sip:three@127.0.0.1:5090", "{bye}");
    Ok(())
}

/// A 200 with short names of its fields, and this behind the tag of To and at its end.
fn compact(called: &Called<'_>, tag: &str, rest: &str) -> String {
    let field = |name: &str| called.invite.message.header(name);
    format!(
        "SIP/2.0 200 \r\nv:{}\r\nf: {}\r\nt : {}{tag}\r\ni:{}\r\nCSeq:  {}\r\nm: <sip:script@127.0.0.1:5090>\r\n{rest}",
        field("Via"),
        field("From"),
        field("To"),
        field("Call-ID"),
        field("CSeq")
    )
}

fn number(cseq: &str) -> u32 {
    cseq.split(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

#[test]
fn a_call_with_an_odd_end_is_carried_and_ended() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk()], "")?;
        for (name, script) in ROWS {
            let attempt = || -> Result<()> {
                let sid = scene
                    .alice
                    .call(&format!("{}/sip", scene.contact("+15559001")))?;
                script(&scene, &sid, &scene.network.wait_called()?)?;
                scene
                    .network
                    .expect_none("one more BYE", |message| message.method() == Some("BYE"))
            };
            attempt().with_context(|| (*name).to_owned())?;
        }
        let call = scene.call_out("+15559002")?;
        scene.hang_up(call)?;
        scene.close(&[])
    })
}

/// The provider moves the sound behind a NAT, and tells an address nobody can reach (specs T12).
#[test]
fn a_private_address_in_a_change_does_not_silence_a_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk()], "")?;
        let sid = scene
            .alice
            .call(&format!("{}/sip", scene.contact("+15559001")))?;
        let called = scene.network.wait_called()?;
        // Where signalling comes from.
        let sound = Peer::bind("127.0.0.1:0")?;
        let hidden = |version: u32| -> Result<String> {
            let shown = sound.describe(Law::A, "sendrecv")?;
            Ok(shown
                .replace("127.0.0.1", "192.168.77.7")
                .replace("o=- 1 1", &format!("o=- 1 {version}")))
        };
        let mut dialog = called.accept(&[], &hidden(1)?)?;
        scene.alice.wait_accepted(&sid)?;
        let to = media_address(&called.offer()).context("no media address")?;
        sound.send(Stream::tone(to, Law::A, 440));
        scene.alice.wait_tone(&sid, 440)?;
        sound.wait_tone(550)?;
        for version in 2..4 {
            let answer = dialog.ask("INVITE", &[], ("application/sdp", &hidden(version)?))?;
            ensure!(answer.status() == Some(200), "{answer}");
            sound.forget();
            scene.alice.wait_tone(&sid, 440)?;
            sound.wait_tone(550)?;
        }
        dialog.hang_up(&[])?;
        ensure!(scene.alice.wait_ended(&sid)? == "success");
        scene.close(&[])
    })
}
