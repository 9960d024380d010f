//! A provider that wants the body covered by the hash (`auth-int`, RFC 7616 §3.4.3), checked by hashlib of Python.

use std::process::Command;

use anyhow::{Result, ensure};
use integration_tests::names::Names;
use integration_tests::sip::Received;
use integration_tests::tandem::{Trunk, with_tandem_within};
use integration_tests::{Bench, program};
use serde_json::json;

use super::trunk;
use crate::scene::{LIMIT, Scene};

/// What hashlib thinks of the answer in `request`, were its body this.
fn check(bench: &Bench, request: &Received, name: &str, body: &str) -> Result<String> {
    let message = &request.message;
    let asked = json!({
        "answer": message.header(name),
        "method": message.method(),
        "body": body,
        "password": "pw-tandem",
    });
    let script = bench.write(
        "digest_check.py",
        include_str!("../../../py/digest_check.py"),
    )?;
    let mut command = Command::new(program::find("python3", "python3")?);
    let output = command.arg(script).arg(asked.to_string()).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The answer covers the body, and no other.
fn expect_right(bench: &Bench, request: &Received, name: &str, said: &str) -> Result<()> {
    let body = request.message.text();
    let right = check(bench, request, name, &body)?;
    ensure!(
        right.starts_with("right") && right.contains(said),
        "{right}: {}",
        request.message
    );
    let other = check(bench, request, name, &format!("{body}!"))?;
    ensure!(
        said.contains("auth-int") == other.starts_with("wrong"),
        "{other}: {}",
        request.message
    );
    Ok(())
}

fn ask(request: &Received, status: u16, nonce: &str, qop: &str, algorithm: &str) -> Result<()> {
    let name = match status {
        401 => "WWW-Authenticate",
        _ => "Proxy-Authenticate",
    };
    let value = format!(
        "Digest realm=\"provider.test\", nonce=\"{nonce}\", qop=\"{qop}\", algorithm={algorithm}"
    );
    request.reply_with(status, "Who?", &[(name, &value)])
}

#[test]
fn the_body_is_covered_where_a_provider_wants_it() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let trunk = Trunk {
            extra: "domain = \"provider.test\"\nregister = true",
            ..trunk()
        };
        let scene = Scene::open(bench, vec![trunk], "")?;
        let network = &scene.network;
        ask(
            &network.expect_request("REGISTER")?,
            401,
            "r",
            "auth-int",
            "SHA-256-sess",
        )?;
        let register = network.expect("the answer", |message| {
            message.method() == Some("REGISTER") && !message.header("Authorization").is_empty()
        })?;
        expect_right(
            bench,
            &register,
            "Authorization",
            "qop=auth-int nc=00000001 algorithm=SHA-256-sess",
        )?;
        register.reply(200, "OK")?;

        // What is known is used in advance, and covers each body anew.
        for (body, count) in [("one", "nc=00000002"), ("two", "nc=00000003")] {
            scene.say("+15559001", body)?;
            let request = network.expect_body(body)?;
            expect_right(
                bench,
                &request,
                "Authorization",
                &format!("qop=auth-int {count}"),
            )?;
            request.reply(200, "OK")?;
        }
        scene.say("+15559001", "three")?;
        ask(
            &network.expect_body("three")?,
            407,
            "m",
            "auth-int",
            "SHA-512-256",
        )?;
        let request = network.expect_body("three")?;
        expect_right(
            bench,
            &request,
            "Proxy-Authorization",
            "qop=auth-int nc=00000001 algorithm=SHA-512-256",
        )?;
        expect_right(bench, &request, "Authorization", "qop=auth-int")?;
        request.reply(200, "OK")?;

        // An INVITE covers its description, unless less is enough.
        for (qop, said) in [
            ("auth-int", "qop=auth-int"),
            ("auth-int, auth", "qop=auth "),
        ] {
            let sid = scene
                .alice
                .call(&format!("{}/sip", scene.contact("+15559001")))?;
            let first = network.wait_called()?;
            let value = format!(
                "Digest realm=\"provider.test\", nonce=\"i\", qop=\"{qop}\", algorithm=MD5"
            );
            first.refuse(401, &[("WWW-Authenticate", &value)])?;
            let second = network.wait_called()?;
            // Before hashlib has its time, or it comes again.
            second.reply(180, &[], "")?;
            ensure!(
                second.offer().contains("m=audio"),
                "{}",
                second.invite.message
            );
            expect_right(bench, &second.invite, "Authorization", said)?;
            second.refuse(486, &[])?;
            ensure!(scene.alice.wait_ended(&sid)? == "busy");
        }
        scene.close(&[])
    })
}
