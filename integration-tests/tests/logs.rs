//! What the logs tell, and what they never tell (checklist row Z08).

use anyhow::{Context, Result, ensure};
use integration_tests::scene::{Plan, trunk};
use integration_tests::sip::Draft;
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::{Scene, Server};
use std::collections::BTreeSet;

/// At INFO, in both formats: no text, no secret, no whole address.
#[test]
fn nobody_is_named_at_info() -> Result<()> {
    with_tandem(|bench| {
        let scene = busy_scene(bench, "text", "info")?;
        expect_no_names(
            &scene,
            &["alice", "bobsmith", "15550123", "mallory", "desk"],
        )
    })
}

#[test]
fn nobody_is_named_at_info_in_json() -> Result<()> {
    with_tandem(|bench| {
        let scene = busy_scene(bench, "json", "info")?;
        expect_no_names(
            &scene,
            &["alice", "bobsmith", "15550123", "mallory", "desk"],
        )?;
        read_json(&scene).map(drop)
    })
}

/// At DEBUG addresses are plain; texts and secrets are not there even so.
#[test]
fn texts_and_secrets_are_never_logged() -> Result<()> {
    with_tandem(|bench| {
        let scene = busy_scene(bench, "text", "trace")?;
        expect_no_names(&scene, &[])
    })
}

/// Lines of JSON, and one id that follows a message through both processes.
#[test]
fn one_id_follows_a_message_through_both_processes() -> Result<()> {
    with_tandem(|bench| {
        let scene = busy_scene(bench, "json", "debug")?;
        let (component, b2bua) = read_json(&scene)?;
        let shared: Vec<&String> = component.intersection(&b2bua).collect();
        ensure!(shared.len() >= 4, "{component:?}\n{b2bua:?}");
        Ok(())
    })
}

/// A refused message is told at INFO in both processes under its id.
#[test]
fn refusals_are_told_at_info() -> Result<()> {
    with_tandem(|bench| {
        let scene = busy_scene(bench, "json", "info")?;
        let (component, b2bua) = read_json(&scene)?;
        ensure!(
            component.intersection(&b2bua).next().is_some(),
            "{component:?}\n{b2bua:?}"
        );
        Ok(())
    })
}

/// Traffic of all kinds, good and bad, and an end in order.
fn busy_scene(bench: &integration_tests::Bench, format: &str, level: &str) -> Result<Scene> {
    let mut plan = Plan::usual(Server::chosen()?);
    let log = format!("[log]\nlevel = \"{level}\"\nformat = \"{format}\"\n");
    plan.tandem.log_level = "";
    plan.tandem.shared_extra = &log;
    plan.tandem.trunks = vec![Trunk {
        credentials: Some(("tandem", "pw-of-the-trunk")),
        ..trunk()
    }];
    let jid = plan.tandem.server.jid("alice");
    plan.tandem.numbers = vec![("+15550100", &jid)];
    let mut scene = plan.open(bench)?;
    scene
        .alice
        .subscribe(&scene.contact(r"bobsmith\40phones.test"))?;
    scene.carry(r"bobsmith\40phones.test", "m1", BODY)?;
    scene.carry("+15550123", "m2", BODY)?;
    scene
        .alice
        .send_chat(&scene.contact("+15550123"), "m3", BODY)?;
    let challenge = "Digest realm=\"phones.test\", nonce=\"abc\", algorithm=SHA-256, qop=\"auth\"";
    scene.trunk.expect_body(BODY)?.reply_with(
        401,
        "Unauthorized",
        &[("WWW-Authenticate", challenge)],
    )?;
    let request = scene.trunk.expect_body(BODY)?;
    ensure!(
        request
            .message
            .header("Authorization")
            .contains("username=\"tandem\""),
        "{}",
        request.message
    );
    request.reply(404, &format!("No {BODY} for mallory"))?;
    scene.alice.expect_error("m3")?;
    scene.alice.send_chat(&scene.contact("112"), "m4", BODY)?;
    scene.alice.expect_error("m4")?;
    scene
        .alice
        .send_chat(&scene.contact(r"mallory\40nowhere.test"), "m5", BODY)?;
    scene.alice.expect_error("m5")?;
    for draft in [
        scene
            .draft(BODY)
            .with("From", "\"mallory\" <sip:bobsmith@phones.test>;tag=1"),
        Draft::message("sip:+15550100@x.test;user=phone", "tel:+15550123", BODY),
        Draft::message(&scene.uri("mallory"), "sip:bobsmith@phones.test", BODY),
        scene
            .draft(BODY)
            .with("From", "<sip:mallory%40localhost@sip.localhost>;tag=2"),
        scene
            .draft(BODY)
            .with("Content-Type", "application/x-mallory"),
        scene.draft(BODY).with("CSeq", "mallory"),
    ] {
        scene.ask(&draft)?;
    }
    scene.tandem.terminate()?;
    Ok(scene)
}

fn expect_no_names(scene: &Scene, names: &[&str]) -> Result<()> {
    for process in [&scene.tandem.component, &scene.tandem.b2bua] {
        let log = process.read_log()?;
        ensure!(log.lines().count() > 3, "nothing was logged: {log}");
        for line in log.lines() {
            let told = names
                .iter()
                .chain(&[BODY, "s3cr3t", "pw-of-the-trunk"])
                .find(|word| line.contains(**word));
            ensure!(told.is_none(), "{told:?} is told in {line}");
            ensure!(!line.contains("\u{1b}"), "terminal codes in {line}");
        }
    }
    Ok(())
}

/// The ids of messages in the lines of each process, all of which must be JSON.
fn read_json(scene: &Scene) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let mut found = Vec::new();
    for process in [&scene.tandem.component, &scene.tandem.b2bua] {
        let mut ids = BTreeSet::new();
        for line in process.read_log()?.lines() {
            let record: serde_json::Value =
                serde_json::from_str(line).with_context(|| line.to_owned())?;
            for key in ["timestamp", "level", "target", "message"] {
                ensure!(
                    record.get(key).is_some_and(serde_json::Value::is_string),
                    "{key} is missing in {line}"
                );
            }
            ids.extend(
                record
                    .get("id")
                    .and_then(|id| id.as_str())
                    .map(str::to_owned),
            );
        }
        found.push(ids);
    }
    let b2bua = found.pop().unwrap_or_default();
    Ok((found.pop().unwrap_or_default(), b2bua))
}

const BODY: &str = "the very private words";
