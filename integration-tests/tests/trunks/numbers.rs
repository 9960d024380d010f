//! N10, N14, A08, C27, C28, N13: numbers as each trunk writes them, and who is shown to whom.

use anyhow::{Context, Result, ensure};
use integration_tests::Server;
use integration_tests::audio::Law;
use integration_tests::jingle::Setup as JingleSetup;
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::net;
use integration_tests::rtp::Peer;
use integration_tests::sip::Draft;
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::scene::{Call, LIMIT, Scene, provider};

/// The network itself as trunk: what it sees is what was sent.
fn trunk(extra: &str) -> Trunk<'_> {
    Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1"],
        from: "number",
        extra,
        ..provider()
    }
}

const AMERICA: &str =
    "[numbering]\ncountry = \"1\"\nnational = \"1\"\nbare_digits = 10\ninternational = [\"011\"]\n";

#[test]
fn numbers_go_out_as_the_trunk_wants_them() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let extra = "number_format = \"e164\"\nprefix = \"9\"\nidentity = \"asserted\"\ndomain = \"pbx.test\"";
        let every = Trunk {
            matches: "+* *",
            ..trunk(extra)
        };
        let scene = Scene::open(bench, vec![every], AMERICA)?;
        for dialled in ["+15559001000", "5559001000", "15559001000"] {
            scene.say(dialled, dialled)?;
            let request = scene.network.expect_body(dialled)?;
            ensure!(
                request.message.uri() == "sip:915559001000@pbx.test;user=phone",
                "{dialled}: {}",
                request.message
            );
            let own = "<sip:15550001000@pbx.test;user=phone>";
            ensure!(
                request.message.header("From").starts_with(own),
                "{}",
                request.message
            );
            ensure!(
                request.message.header("P-Asserted-Identity") == own,
                "{}",
                request.message
            );
            request.reply(200, "OK")?;
        }
        // What becomes an emergency number by the trunk's own prefix is none of its business.
        scene.say("11", "emergency")?;
        let error = scene
            .alice
            .expect("an error", |stanza| stanza.kind() == "error")?;
        ensure!(error.condition() == "not-allowed", "{}", error.xml);
        ensure!(error.error_text().contains("Emergency"), "{}", error.xml);
        let sid = scene.alice.call(&format!("{}/sip", scene.contact("11")))?;
        let end = scene.alice.wait_event("ended", &sid)?;
        ensure!(end.text.contains("Emergency"), "{end:?}");
        scene.network.expect_none("a way to it", |message| {
            matches!(message.method(), Some("MESSAGE" | "INVITE"))
        })?;
        let shown = scene
            .tandem
            .borrow()
            .ask(&["route-test", "(555) 900-1000"])?;
        ensure!(
            shown.contains("number: (555)900-1000 is +15559001000, by numbering country \"1\""),
            "{shown}"
        );
        scene.close(&[])
    })
}

/// Who dials is told once, in that conversation, where answers come from; and they do.
#[test]
fn who_dials_is_told_where_answers_come_from() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk("domain = \"pbx.test\"")], AMERICA)?;
        let canonical = scene.contact("+15559001000");
        let is_notice = |stanza: &integration_tests::xmpp::Stanza| {
            stanza
                .body()
                .is_some_and(|body| body.contains("Answers come from"))
        };
        scene.write("+15559001000", "whole")?;
        scene.write("5559001000", "dialled")?;
        let notice = scene.alice.expect("the notice", is_notice)?;
        ensure!(
            notice.from() == scene.contact("5559001000"),
            "{}",
            notice.xml
        );
        let body = notice.body().unwrap_or_default();
        ensure!(body.ends_with(&format!("xmpp:{canonical}")), "{body}");
        scene.write("5559001000", "again")?;
        scene.crash_b2bua()?;
        scene.write("5559001000", "after a kill")?;
        let path = scene.network.udp_to(GATEWAY)?;
        let from = "sip:+15559001000@pbx.test";
        let draft = Draft::message("sip:+15550001000@127.0.0.1", from, "the answer");
        let answer = scene.network.ask(&draft, &path)?;
        ensure!(answer.status() == Some(202), "{answer}");
        let answer = scene.alice.expect("the answer", |stanza| {
            is_notice(stanza) || stanza.body() == Some("the answer")
        })?;
        ensure!(
            answer.body() == Some("the answer"),
            "told twice: {}",
            answer.xml
        );
        ensure!(answer.from() == canonical, "{}", answer.xml);
        scene.close(&["Answers come"])
    })
}

#[test]
fn a_hidden_caller_is_nobody_in_particular() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let trunks = vec![trunk("identity = \"preferred\"\ndomain = \"pbx.test\"")];
        let scene = Scene::open(bench, trunks, AMERICA)?;
        scene.say("*67+15559001000", "hidden")?;
        let request = scene.network.expect_body("hidden")?;
        request.reply(200, "OK")?;
        let sid = scene
            .alice
            .call(&format!("{}/sip", scene.contact("#31#5559001000")))?;
        let called = scene.network.wait_called()?;
        for message in [&request.message, &called.invite.message] {
            let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
            ensure!(
                message.uri() == "sip:+15559001000@pbx.test;user=phone",
                "{message}"
            );
            ensure!(message.header("From").starts_with(anonymous), "{message}");
            ensure!(message.header("Privacy") == "id", "{message}");
            let own = "<sip:+15550001000@pbx.test;user=phone>";
            ensure!(message.header("P-Preferred-Identity") == own, "{message}");
            message.reparse()?;
            let all = String::from_utf8_lossy(message.raw()).replace("P-Preferred-Identity", "");
            ensure!(
                all.matches("+15550001000").count() == 1 && !all.contains("alice"),
                "{message}"
            );
        }
        called.refuse(486, &[])?;
        scene.alice.wait_ended(&sid)?;
        scene.close(&[])
    })
}

/// A number may be hidden for good: its user is nobody in particular, but by another number it chooses.
#[test]
fn a_user_may_be_hidden_for_good() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let bob = format!("bob@{}", Server::chosen()?.domain());
        let rows = format!(
            "{AMERICA}[[number]]\nnumber = \"+15550002000\"\njid = \"{bob}\"\nhidden = true\n\
             [[number]]\nnumber = \"+15550003000\"\njid = \"{bob}\"\nselect = \"*2*\"\n"
        );
        let scene = Scene::open(bench, vec![trunk("domain = \"pbx.test\"")], &rows)?;
        let bob = JingleSetup {
            user: "bob",
            ..JingleSetup::default()
        };
        let bob = scene.clients.log_in(scene.server, bob)?;
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        let second = "<sip:+15550003000@pbx.test;user=phone>";
        for (dialled, own, privacy) in [("", anonymous, "id"), ("*2*", second, "")] {
            let to = scene.contact(&format!("{dialled}5559001000"));
            let id = format!("by {dialled}");
            bob.send(&format!(
                "<message to='{to}' type='chat' id='{id}'><body>{id}</body></message>"
            ))?;
            let request = scene.network.expect_body(&id)?;
            request.reply(200, "OK")?;
            let sid = bob.call(&format!("{to}/sip"))?;
            let called = scene.network.wait_called()?;
            for message in [&request.message, &called.invite.message] {
                ensure!(message.header("From").starts_with(own), "{message}");
                ensure!(message.header("Privacy") == privacy, "{message}");
                let all = String::from_utf8_lossy(message.raw()).into_owned();
                ensure!(
                    !all.contains("15550002000") && !all.contains("bob"),
                    "{message}"
                );
            }
            called.refuse(486, &[])?;
            bob.wait_ended(&sid)?;
        }
        scene.close(&[])
    })
}

/// The network calls `number`, alice takes it, and it ends; what her client shows beside who calls, and who
/// that is.
fn caller_of(scene: &Scene, number: &str, headers: &[(&str, &str)]) -> Result<(String, String)> {
    let to = format!("sip:{number}@{}", scene.server.gateway());
    let parties = ("sip:+15559001000@network.test", to.as_str());
    let sound = Peer::bind(&format!("{}:0", net::ADDRESS))?;
    let offer = sound.describe(Law::A, "sendrecv")?;
    let calling = scene.network.call(GATEWAY, parties, headers, &offer)?;
    let presence = scene.alice.expect("the caller's presence", |stanza| {
        stanza.child("nick").is_some()
    })?;
    let proposal = scene.alice.wait_proposal()?;
    scene.alice.take_proposal(&proposal)?;
    let dialog = calling.wait_accepted("")?;
    let sid = proposal.id.clone();
    scene.hang_up(Call { sid, dialog, sound })?;
    let nick = presence.child("nick").context("no name")?.text.clone();
    let user = proposal.from.split('@').next().unwrap_or_default();
    ensure!(proposal.from.starts_with(&scene.contact(user)));
    Ok((nick, user.to_owned()))
}

/// C27: the name a provider looked up for the caller, what it says of the number and who sent the call on are
/// shown by the client, beside the number that the provider vouches for.
#[test]
fn a_caller_has_the_name_its_provider_gives_it() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk("trust_identity = true")], AMERICA)?;
        let asserted = (
            "P-Asserted-Identity",
            "\"Eve <Moneypenny>\" <sip:+15559007000@network.test;verstat=TN-Validation-Passed>",
        );
        let plain = (
            "P-Asserted-Identity",
            "\"\u{202e}Eve\u{200b}  (number verified)\" <tel:+15559007000>",
        );
        let diverted = (
            "Diversion",
            "<sip:+15559003000@network.test>;reason=unconditional",
        );
        let history = (
            "History-Info",
            "<sip:+15559004000@network.test>;index=1, <sip:+15550001000@network.test>;index=1.1",
        );
        let rows = [
            (
                &[asserted][..],
                "Eve <Moneypenny> (number verified)",
                "+15559007000",
            ),
            // Who is hidden has no name either.
            (
                &[asserted, ("Privacy", "id")],
                "(number verified)",
                "anonymous",
            ),
            // What cannot be seen is no part of a name, and nobody verifies itself.
            (&[plain], "Eve", "+15559007000"),
            (
                &[asserted, diverted],
                "Eve <Moneypenny> (number verified) (forwarded by +15559003000)",
                "+15559007000",
            ),
            (&[history], "(forwarded by +15559004000)", "+15559001000"),
            (
                &[plain, history, ("Privacy", "history")],
                "Eve",
                "+15559007000",
            ),
        ];
        for (headers, nick, user) in rows {
            let caller = caller_of(&scene, "+15550001000", headers)?;
            let wanted = (nick.to_owned(), user.to_owned());
            ensure!(caller == wanted, "{headers:?}: {caller:?}");
        }
        scene.close(&[])
    })
}

/// Who has two numbers sees which one is called, and says by which one to call and write.
#[test]
fn a_user_may_have_several_numbers() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let alice = format!("alice@{}", Server::chosen()?.domain());
        let second = format!(
            "{AMERICA}[[number]]\nnumber = \"+15550002000\"\njid = \"{alice}\"\nselect = \"*2*\"\n"
        );
        let scene = Scene::open(bench, vec![trunk("")], &second)?;
        for (dialled, own) in [("", "+15550001000"), ("*2*", "+15550002000")] {
            scene.say(&format!("{dialled}5559001000"), own)?;
            let request = scene.network.expect_body(own)?;
            let from = request.message.header("From");
            ensure!(from.contains(&format!("sip:{own}@")), "{}", request.message);
            let uri = request.message.uri();
            ensure!(uri.starts_with("sip:+15559001000@"), "{uri}");
            request.reply(200, "OK")?;
        }
        // A trunk that is not trusted says nothing of who calls but From.
        let asserted = "\"Eve\" <sip:+15559007000@network.test;verstat=TN-Validation-Passed>";
        for headers in [
            &[][..],
            &[("P-Asserted-Identity", asserted)],
            &[("Diversion", "<sip:+15559003000@network.test>")],
        ] {
            let (nick, user) = caller_of(&scene, "+15550002000", headers)?;
            ensure!(nick == "(calls +15550002000)", "{nick:?}");
            ensure!(user == "+15559001000", "{user:?}");
        }
        // Who called that number hears back from it, after a kill too, and others from the first.
        for (round, dialled, own) in [
            ("back", "+15559001000", "+15550002000"),
            ("others", "+15559002000", "+15550001000"),
            ("later", "+15559001000", "+15550002000"),
        ] {
            if round == "later" {
                let mut tandem = scene.tandem.borrow_mut();
                let mark = tandem.b2bua.mark()?;
                tandem.crash_b2bua()?;
                tandem
                    .b2bua
                    .wait_log_since(mark, "the XMPP side is there")?;
            }
            scene.say(dialled, round)?;
            let request = scene.network.expect_body(round)?;
            let from = request.message.header("From");
            ensure!(from.contains(&format!("sip:{own}@")), "{}", request.message);
            request.reply(200, "OK")?;
        }
        scene.close(&[])
    })
}

#[test]
fn callers_are_who_a_trusted_trunk_says() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let trunks = vec![trunk("number_format = \"national\"\ntrust_identity = true")];
        let scene = Scene::open(bench, trunks, AMERICA)?;
        let gateway = scene.server.gateway();
        let from = |fields: &[(&str, &str)], id: &str, contact: &str| -> Result<()> {
            let to = format!("sip:15550001000@{gateway}");
            let mut draft = Draft::message(&to, "sip:5559001000@network.test", id);
            for (name, value) in fields {
                draft = draft.with(name, value);
            }
            let path = scene.network.udp_to(GATEWAY)?;
            let answer = scene.network.ask(&draft, &path)?;
            ensure!(answer.status() == Some(202), "{answer}");
            let stanza = scene.alice.expect(id, |stanza| stanza.body() == Some(id))?;
            let wanted = format!("{contact}@{gateway}");
            ensure!(
                stanza.from().starts_with(&wanted),
                "{id}: {}",
                stanza.from()
            );
            Ok(())
        };
        from(&[], "from", "+15559001000")?;
        let asserted = (
            "P-Asserted-Identity",
            "<sip:011493012345@network.test>, <tel:+4930999>",
        );
        from(&[asserted], "asserted", "+4930999")?;
        // What a caller would like to be is for its own provider to judge (RFC 3325 §9.2).
        let preferred = ("P-Preferred-Identity", "<sip:5557771111@network.test>");
        from(&[preferred], "preferred", "+15559001000")?;
        from(&[preferred, asserted], "both", "+4930999")?;
        let remote = (
            "Remote-Party-ID",
            "<sip:5557770000@network.test>;party=calling",
        );
        from(&[remote], "remote", "+15557770000")?;
        from(&[asserted, ("Privacy", "id")], "private", "anonymous")?;
        let hidden = (
            "Remote-Party-ID",
            "<sip:5557770000@network.test>;privacy=full",
        );
        from(&[hidden], "full", "anonymous")?;

        // N10: what is to be kept at all costs and cannot be is not carried.
        from(&[asserted, ("Privacy", "id;critical")], "kept", "anonymous")?;
        let path = scene.network.udp_to(GATEWAY)?;
        let draft = Draft::message(
            &format!("sip:15550001000@{gateway}"),
            "sip:5559001000@network.test",
            "not kept",
        );
        let draft = draft.with("Privacy", "id;stealth;critical");
        let answer = scene.network.ask(&draft, &path)?;
        ensure!(
            answer.start_line() == "SIP/2.0 500 Privacy not provided: stealth",
            "{answer}"
        );

        // A08: numbers that are nobody's are not found.
        let draft = Draft::message(
            &format!("sip:15550002000@{gateway}"),
            "sip:5559001000@network.test",
            "x",
        );
        let answer = scene.network.ask(&draft, &path)?;
        ensure!(answer.status() == Some(404), "{answer}");
        scene.close(&[])
    })
}

#[test]
fn a_number_may_be_several_users() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let domain = Server::chosen()?.domain();
        let shared = format!(
            "{AMERICA}[[number]]\nnumber = \"+15550003000\"\njid = [\"alice@{domain}\", \"bob@{domain}\"]\n"
        );
        let scene = Scene::open(bench, vec![trunk("")], &shared)?;
        let bob = JingleSetup {
            user: "bob",
            ..JingleSetup::default()
        };
        let bob = scene.clients.log_in(scene.server, bob)?;
        let number = format!("sip:+15550003000@{}", scene.server.gateway());
        let caller = "sip:+15559001000@network.test";

        // A message is both's, and its sender is told once.
        let path = scene.network.udp_to(GATEWAY)?;
        let draft = Draft::message(&number, caller, "to both");
        let answer = scene.network.ask(&draft, &path)?;
        ensure!(answer.status() == Some(202), "{answer}");
        for user in [&scene.alice, &bob] {
            user.expect("the text", |stanza| stanza.body() == Some("to both"))?;
        }
        // The same request again is answered, and nobody has it twice.
        let again = scene.network.ask(&draft, &path)?;
        ensure!(again.status() == Some(202), "{again}");
        for user in [&scene.alice, &bob] {
            user.expect_none("second copy", |stanza| stanza.body() == Some("to both"))?;
        }

        // A call rings both, and whoever takes it has it.
        let sound = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        let offer = sound.describe(Law::A, "sendrecv")?;
        let call = || scene.network.call(GATEWAY, (caller, &number), &[], &offer);
        let calling = call()?;
        let (for_alice, for_bob) = (scene.alice.wait_proposal()?, bob.wait_proposal()?);
        ensure!(for_alice.id != for_bob.id && for_alice.from == for_bob.from);
        scene
            .alice
            .say(&for_alice.from, "ringing", &for_alice.id, "")?;
        calling.expect(180)?;
        bob.take_proposal(&for_bob)?;
        let mut dialog = calling.wait_accepted("")?;
        let told = scene.alice.wait_said("retract", &for_alice.id)?;
        let reason = told.child("retract").and_then(|it| it.child("reason"));
        let success = reason.and_then(|reason| reason.child("success"));
        ensure!(success.is_some(), "{}", told.xml);
        sound.wait_tone(550)?;
        dialog.hang_up(&[])?;
        ensure!(bob.wait_ended(&for_bob.id)? == "success");

        // Of two who refuse the one who may answer later counts.
        let calling = call()?;
        let (for_alice, for_bob) = (scene.alice.wait_proposal()?, bob.wait_proposal()?);
        let because = |word: &str| format!("<reason xmlns='urn:xmpp:jingle:1'><{word}/></reason>");
        scene.alice.say(
            &for_alice.from,
            "reject",
            &for_alice.id,
            &because("decline"),
        )?;
        bob.say(&for_bob.from, "ringing", &for_bob.id, "")?;
        calling.expect(180)?;
        bob.say(&for_bob.from, "reject", &for_bob.id, &because("busy"))?;
        let refusal = calling.wait_refused()?;
        ensure!(refusal.status() == Some(486), "{refusal}");
        scene.close(&[])
    })
}
