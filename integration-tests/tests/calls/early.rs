//! What is special before and around the answer on the SIP side (C07-C11, C24): early media, reliable
//! provisional responses, forks, late offers, and an ACK that never comes.

use anyhow::{Result, ensure};
use integration_tests::audio::Law;
use integration_tests::jingle::PROPOSALS;
use integration_tests::net;
use integration_tests::rtp::Peer;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{CLIENT_TONE, LIMIT, OTHER_TONE, SIP_TONE, Scene, Wishes, play};

#[test]
fn sound_before_the_answer_is_heard() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.propose(&scene.contact())?;
        let called = scene.sip.wait_called()?;
        called.reply(183, &[], &scene.describe()?)?;
        scene.play_to(&called.offer())?;
        let proceed = scene.alice.wait_said("proceed", &sid)?;
        scene.alice.begin(proceed.from(), &sid)?;
        scene.alice.wait_tone(&sid, SIP_TONE)?;
        let mut dialog = called.accept(&[], &scene.describe()?)?;
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;

        // Announced, then refused: the session that was begun for it ends with the reason.
        let sid = scene.alice.propose(&scene.contact())?;
        let called = scene.sip.wait_called()?;
        called.reply(183, &[], &scene.describe()?)?;
        let proceed = scene.alice.wait_said("proceed", &sid)?;
        scene.alice.begin(proceed.from(), &sid)?;
        scene.alice.wait_accepted(&sid)?;
        called.refuse(486, &[])?;
        let reason = scene.alice.wait_ended(&sid)?;
        ensure!(reason == "busy", "ended with {reason}");
        scene.close()
    })
}

#[test]
fn sound_before_the_answer_may_be_left_out() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            call: "early_media = \"ignore\"",
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        let sid = scene.alice.propose(&scene.contact())?;
        let called = scene.sip.wait_called()?;
        called.reply(183, &[], &scene.describe()?)?;
        scene.play_to(&called.offer())?;
        scene.alice.wait_said("ringing", &sid)?;
        scene.alice.expect_none("proceed", |stanza| {
            stanza.child_in("proceed", PROPOSALS).is_some()
        })?;
        // The answer may leave out what was said already.
        let mut dialog = called.accept(&[], "")?;
        let proceed = scene.alice.wait_said("proceed", &sid)?;
        scene.alice.begin(proceed.from(), &sid)?;
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.close()
    })
}

#[test]
fn a_reliable_progress_is_acknowledged() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        let reliable = [("Require", "100rel"), ("RSeq", "7")];
        called.reply(183, &reliable, &scene.describe()?)?;
        let prack = called.dialog().expect("PRACK")?;
        ensure!(
            prack.message.header("RAck") == "7 1 INVITE",
            "{}",
            prack.message
        );
        prack.reply(200, "OK")?;
        scene.play_to(&called.offer())?;
        scene.alice.wait_tone(&sid, SIP_TONE)?;
        let mut dialog = called.accept(&[], "")?;
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;

        // The other role: a caller that insists gets a number to acknowledge.
        let calling = scene.invite("alice", &[("Require", "100rel")], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "ringing", &proposal.id, "")?;
        let ringing = calling.expect(180)?;
        let number = ringing.header("RSeq");
        ensure!(!number.is_empty(), "{ringing}");
        let mut dialog = calling.dialog(&ringing);
        let acknowledged = format!("{number} 1 INVITE");
        let response = dialog.ask("PRACK", &[("RAck", &acknowledged)], ("", ""))?;
        ensure!(response.status() == Some(200), "{response}");
        scene.alice.take_proposal(&proposal)?;
        dialog.description = calling.wait_accepted("")?.description;
        scene.play_to(&dialog.description)?;
        scene.both_hear(&scene.alice, &proposal.id)?;
        scene.hang_up(&mut dialog, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

#[test]
fn of_the_branches_of_a_fork_one_is_kept() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.call(&scene.carol())?;
        let first = scene.sip.wait_called()?;
        let second = first.as_branch("second");
        first.reply(183, &[], &scene.describe()?)?;
        second.reply(180, &[], "")?;
        let mut kept = second.accept(&[], &scene.describe()?)?;
        // Another branch answered at the same time.
        let left = first.accept(&[], &scene.describe()?)?;
        left.wait_hung_up()?;
        scene.play_to(&first.offer())?;
        scene.both_hear(&scene.alice, &sid)?;
        // And one more when the call had long begun.
        let late = first.as_branch("third").accept(&[], &scene.describe()?)?;
        late.wait_hung_up()?;
        scene.sound.forget();
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut kept, &scene.alice, &sid)?;
        scene.close()
    })
}

#[test]
fn an_offer_may_come_late() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let calling = scene.invite("alice", &[], "")?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        let answer = scene.describe()?;
        let mut dialog = calling.wait_accepted(&answer)?;
        scene.play_to(&dialog.description)?;
        scene.both_hear(&scene.alice, &proposal.id)?;
        scene.hang_up(&mut dialog, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

#[test]
fn an_answer_nobody_acknowledges_is_taken_back() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            sip: "t1_ms = 50",
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        let dialog = calling.wait_answer()?;
        // Repeated for 64 times T1 (RFC 3261 §13.3.1.4), then given up.
        for _ in 0..3 {
            calling.expect(200)?;
        }
        dialog.wait_hung_up()?;
        let reason = scene.alice.wait_ended(&proposal.id)?;
        ensure!(reason == "connectivity-error", "ended with {reason}");
        scene.close()
    })
}

/// A colleague picks up what rings elsewhere, and nobody else may (RFC 3891).
#[test]
fn another_phone_takes_a_call_that_rings() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        for proposed in [true, false] {
            let sid = match proposed {
                true => scene.alice.propose(&scene.contact())?,
                false => scene.alice.call(&scene.carol())?,
            };
            let called = scene.sip.wait_called()?;
            called.reply(180, &[], "")?;
            if proposed {
                scene.alice.wait_said("ringing", &sid)?;
            } else {
                scene.alice.wait_ringing(&sid)?;
            }
            let replaces = called.dialog().replaces()?;
            let wrong = replaces.replace("from-tag=", "from-tag=x");
            let speex = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                         m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 speex/8000\r\n";
            for (value, offer, status) in [
                (wrong.as_str(), scene.describe()?.as_str(), 481),
                (replaces.as_str(), speex, 488),
            ] {
                let calling = scene.invite("alice", &[("Replaces", value)], offer)?;
                let refusal = calling.wait_refused()?;
                ensure!(refusal.status() == Some(status), "{refusal}");
            }
            let early = format!("{replaces};early-only");
            let calling = scene.invite("alice", &[("Replaces", &early)], &scene.describe()?)?;
            let mut dialog = calling.wait_accepted("")?;
            called.wait_cancelled()?;
            if proposed {
                let proceed = scene.alice.wait_said("proceed", &sid)?;
                scene.alice.begin(proceed.from(), &sid)?;
            }
            scene.sound.forget();
            scene.play_to(&dialog.description)?;
            scene.both_hear(&scene.alice, &sid)?;
            // It is answered now: too late for those who only want what rings.
            let again = format!("{};early-only", dialog.replaces()?);
            let calling = scene.invite("alice", &[("Replaces", &again)], &scene.describe()?)?;
            ensure!(calling.wait_refused()?.status() == Some(486));
            scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        }
        // A call to an XMPP user that still rings is not there to be taken.
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "ringing", &proposal.id, "")?;
        let ringing = calling.expect(180)?;
        let replaces = calling.dialog(&ringing).replaces()?;
        let other = scene.invite("alice", &[("Replaces", &replaces)], &scene.describe()?)?;
        ensure!(other.wait_refused()?.status() == Some(481));
        calling.cancel(&[])?;
        scene.alice.wait_said("retract", &proposal.id)?;
        scene.close()
    })
}

#[test]
fn another_phone_takes_the_place_of_the_one_in_a_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut first, sid) = scene.connect()?;
        let refer = [("Refer-To", "<sip:dave@sip.test>")];
        let response = first.ask("REFER", &refer, ("", ""))?;
        ensure!(
            matches!(response.status(), Some(403 | 405 | 501 | 603)),
            "{response}"
        );
        let package = [("Info-Package", "conference")];
        let response = first.ask("INFO", &package, ("text/plain", "x"))?;
        ensure!(response.status() == Some(469), "{response}");

        let other = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        let offer = other.describe(Law::A, "sendrecv")?;
        let replaces = first.replaces()?;
        let calling = scene.invite("alice", &[("Replaces", &replaces)], &offer)?;
        let mut second = calling.wait_accepted("")?;
        first.wait_hung_up()?;
        scene.sound.pause();
        play(&other, &second.description, OTHER_TONE)?;
        other.wait_tone(CLIENT_TONE)?;
        scene.alice.wait_tone(&sid, OTHER_TONE)?;
        scene.hang_up(&mut second, &scene.alice, &sid)?;
        scene.close()
    })
}
