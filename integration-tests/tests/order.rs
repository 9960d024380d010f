//! One message at a time to each address, in order, and nobody waits for anybody else (checklist row M06).

use anyhow::{Result, ensure};
use integration_tests::tandem::with_tandem;
use integration_tests::{Scene, Server};

#[test]
fn a_burst_goes_one_by_one_and_other_conversations_do_not_wait() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let bob = scene.contact(r"bob\40phones.test");
        for at in 0..10 {
            scene
                .alice
                .send_chat(&bob, &format!("b{at}"), &format!("burst {at}"))?;
        }
        for at in 0..10 {
            let request = scene.trunk.expect_body(&format!("burst {at}"))?;
            // Sent behind the burst, and here before the first of it is answered.
            scene.carry(
                &format!("+1555{at}"),
                &format!("o{at}"),
                &format!("other {at}"),
            )?;
            scene.trunk.expect_none("second of the burst", |message| {
                message.text().starts_with("burst ") && message.text() != format!("burst {at}")
            })?;
            request.reply(100, "Trying")?;
            request.reply(200, "OK")?;
        }
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")
    })
}

/// A refusal ends one message; the rest of its conversation goes on.
#[test]
fn a_refused_message_does_not_hold_up_the_next() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let bob = scene.contact(r"bob\40phones.test");
        for text in ["first", "second", "third"] {
            scene.alice.send_chat(&bob, text, text)?;
        }
        for (text, status) in [("first", 200), ("second", 404), ("third", 200)] {
            scene.trunk.expect_body(text)?.reply(status, "Whatever")?;
        }
        ensure!(scene.alice.expect_error("second")?.condition() == "item-not-found");
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")
    })
}

/// A queue is bounded, and who is beyond the bound is told.
#[test]
fn a_full_queue_refuses() -> Result<()> {
    with_tandem(|bench| {
        let mut plan = integration_tests::scene::Plan::usual(Server::chosen()?);
        plan.tandem.b2bua_extra = "[message]\nqueue_per_destination = 3\n";
        let scene = plan.open(bench)?;
        let bob = scene.contact(r"bob\40phones.test");
        for at in 0..8 {
            scene
                .alice
                .send_chat(&bob, &format!("b{at}"), &format!("burst {at}"))?;
        }
        let error = scene.alice.expect_error("b7")?;
        ensure!(
            error.condition() == "resource-constraint" && error.error_kind() == "wait",
            "{}",
            error.xml
        );
        ensure!(!error.error_text().is_empty(), "{}", error.xml);
        let refused: Vec<String> = (0..7)
            .map(|at| format!("b{at}"))
            .filter(|id| {
                scene
                    .alice
                    .expect_none("", |stanza| stanza.kind() == "error" && stanza.id() == id)
                    .is_err()
            })
            .collect();
        ensure!(
            refused.len() <= 5 && !refused.contains(&"b0".to_owned()),
            "{refused:?}"
        );
        for at in (0..8).filter(|at| *at != 7 && !refused.contains(&format!("b{at}"))) {
            scene
                .trunk
                .expect_body(&format!("burst {at}"))?
                .reply(200, "OK")?;
        }
        Ok(())
    })
}
