//! Calls that are not what they seem: with more than sound (C15, C36), in circles (C33), one too many (C35), or
//! with a body of several parts.

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::sip::Draft;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, Wishes};

/// Pictures, typed text, a fax and a chat stand in the offer, each in its place of the answer, turned down.
#[test]
fn what_is_no_sound_is_turned_down_in_its_place() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sound = scene.describe()?;
        let (head, audio) = sound.split_once("m=audio").unwrap_or_default();
        let offer = format!("{head}{PICTURES}m=audio{audio}{TEXT}{FAX}{CHAT}");
        let calling = scene.invite("alice", &[], &offer)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        let mut dialog = calling.wait_accepted("")?;
        let lines: Vec<(&str, bool)> = dialog
            .description
            .lines()
            .filter_map(|line| line.strip_prefix("m="))
            .filter_map(|line| line.split_once(' '))
            .map(|(media, rest)| (media, !rest.starts_with("0 ")))
            .collect();
        let wanted = ["video", "audio", "text", "image", "message"];
        let wanted: Vec<(&str, bool)> = wanted.iter().map(|m| (*m, *m == "audio")).collect();
        ensure!(lines == wanted, "{}", dialog.description);
        // The address of what is taken, not of the first line.
        let audio = dialog.description.split_once("m=audio").unwrap_or_default();
        let moved = format!("{}m=audio{}", head_of(&dialog.description), audio.1);
        scene.play_to(&moved)?;
        scene.both_hear(&scene.alice, &proposal.id)?;

        // A later offer of pictures alone beside the sound changes nothing.
        let again = offer.replace("o=- 1 1", "o=- 1 2");
        let response = dialog.ask("INVITE", &[], ("application/sdp", &again))?;
        ensure!(response.status() == Some(200), "{response}");
        scene.sound.forget();
        scene.both_hear(&scene.alice, &proposal.id)?;
        scene.hang_up(&mut dialog, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

/// The lines before the first stream.
fn head_of(description: &str) -> &str {
    description.split_once("m=").map_or("", |(head, _)| head)
}

#[test]
fn a_description_among_other_parts_is_found() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut dialog, sid) = scene.connect()?;
        let parts = format!(
            "--cut\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--cut\r\n\
             Content-Type: application/sdp\r\n\r\n{}\r\n--cut--\r\n",
            scene.describe()?
        );
        let response = dialog.ask("INVITE", &[], ("multipart/mixed;boundary=cut", &parts))?;
        ensure!(response.status() == Some(200), "{response}");
        scene.sound.forget();
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.close()
    })
}

/// Our own INVITE comes back: to where it came from, and round by another name.
#[test]
fn a_call_does_not_run_in_circles() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        let invite = &called.invite.message;
        let path = scene.sip.udp_to(GATEWAY)?;
        let mut back = Draft::new("INVITE", &invite.uri())
            .with("Max-Forwards", "1")
            .with_body("application/sdp", invite.text().as_bytes());
        for name in ["From", "To", "Call-ID", "CSeq", "Contact"] {
            back = back.with(name, &invite.header(name));
        }
        let text = back.render(&path);
        let via = format!("\r\nVia: {}\r\n", invite.header("Via"));
        let (start, rest) = text.split_once("\r\nMax-Forwards").unwrap_or_default();
        path.send(format!("{start}{via}Max-Forwards{rest}").as_bytes())?;
        let refusal = scene.sip.expect("an end of the circle", |message| {
            message.status().is_some_and(|status| status >= 300)
        })?;
        ensure!(refusal.message.status() == Some(482), "{}", refusal.message);
        called.refuse(404, &[])?;
        scene.alice.wait_ended(&sid)?;
        scene.close()
    })
}

#[test]
fn a_user_has_only_so_many_calls() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            component: "[call]\nper_user = 1",
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        let (mut dialog, sid) = scene.connect()?;
        let refusal = scene
            .invite("alice", &[], &scene.describe()?)?
            .wait_refused()?;
        ensure!(matches!(refusal.status(), Some(480 | 486)), "{refusal}");
        let other = scene.alice.call(&scene.carol())?;
        let ended = scene.alice.wait_event("ended", &other)?;
        ensure!(!ended.text.is_empty(), "{ended:?}");
        scene.sound.forget();
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.close()
    })
}

const PICTURES: &str = "m=video 6000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
const TEXT: &str = "m=text 6002 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n";
const FAX: &str = "m=image 6004 udptl t38\r\n";
const CHAT: &str = "m=message 6006 TCP/MSRP *\r\na=accept-types:text/plain\r\na=path:msrp://10.77.0.1:6006/x;tcp\r\n";
