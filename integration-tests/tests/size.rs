//! How large a message may be, and how it goes (checklist row M05; RFC 3428 §8, RFC 3261 §18.1.1; U14).

use anyhow::{Result, ensure};
use integration_tests::scene::trunk;
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::{Scene, Server};

/// M05: small over UDP, larger over TCP to the same hop, too large refused.
#[test]
fn large_requests_leave_udp_and_larger_ones_are_refused() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let bob = scene.contact(r"bob\40phones.test");
        for (id, length, transport) in [
            ("m1", 700, "UDP"),
            ("m2", 2_000, "TCP"),
            ("m3", 6_000, "TCP"),
        ] {
            let text = long_text(id, length);
            scene.alice.send_chat(&bob, id, &text)?;
            let request = scene.trunk.expect_body(&text)?;
            ensure!(
                request.path.transport() == transport,
                "{length} bytes went over {}",
                request.path.transport()
            );
            ensure!(
                request
                    .message
                    .header("Via")
                    .contains(&format!("SIP/2.0/{transport}")),
                "{}",
                request.message
            );
            ensure!(
                transport == "TCP" || request.message.raw().len() <= 1_300,
                "{}",
                request.message
            );
            request.reply(200, "OK")?;
        }
        scene
            .alice
            .send_chat(&bob, "m4", &long_text("m4", 10_000))?;
        let error = scene.alice.expect_error("m4")?;
        ensure!(
            error.condition() == "policy-violation" && !error.error_text().is_empty(),
            "{}",
            error.xml
        );
        scene
            .carry(r"bob\40phones.test", "m5", "the next")
            .map(drop)
    })
}

/// M05: at the very limit, whatever the text is made of.
#[test]
fn no_datagram_is_over_the_limit() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let bob = scene.contact(r"bob\40phones.test");
        let mut seen = (false, false);
        for length in (700..960).step_by(10) {
            let text = long_text("ü", length);
            scene.alice.send_chat(&bob, &format!("m{length}"), &text)?;
            let request = scene.trunk.expect_body(&text)?;
            let (size, udp) = (
                request.message.raw().len(),
                request.path.transport() == "UDP",
            );
            // The choice is made before the last lengths are known, so it errs to the safe side.
            ensure!(
                if udp { size <= 1_300 } else { size > 1_200 },
                "{size} bytes, UDP: {udp}"
            );
            seen = (seen.0 || udp, seen.1 || !udp);
            request.reply(200, "OK")?;
        }
        ensure!(seen == (true, true), "the limit was not crossed: {seen:?}");
        Ok(())
    })
}

/// M05: a trunk may split instead; the parts come in order and nothing of the text is lost.
#[test]
fn a_route_may_split() -> Result<()> {
    with_tandem(|bench| {
        let trunk = Trunk {
            split: Some(true),
            extra: "large = \"off\"",
            ..trunk()
        };
        let scene = Scene::by_trunk(bench, trunk)?;
        let text = long_text("start", 3_000);
        scene
            .alice
            .send_chat(&scene.contact("+15550123"), "m1", &text)?;
        let mut joined = String::new();
        for at in 1..10 {
            let request = scene.trunk.expect_request("MESSAGE")?;
            let part = request.message.text();
            let (number, rest) = part.split_once(") ").unwrap_or_default();
            let (of, total) = number
                .trim_start_matches('(')
                .split_once('/')
                .unwrap_or_default();
            ensure!(
                of == at.to_string() && request.message.raw().len() <= 1_300,
                "{}",
                request.message
            );
            joined.push_str(rest);
            request.reply(200, "OK")?;
            if of == total {
                break;
            }
        }
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        ensure!(plain(&joined) == plain(&text), "{joined}");
        scene
            .alice
            .expect_none("error", |stanza| stanza.kind() == "error")?;

        // A part that is refused is told as such.
        scene
            .alice
            .send_chat(&scene.contact("+15550123"), "m2", &text)?;
        scene.trunk.expect_request("MESSAGE")?.reply(200, "OK")?;
        scene.trunk.expect_request("MESSAGE")?.reply(404, "Gone")?;
        let error = scene.alice.expect_error("m2")?;
        ensure!(
            error.condition() == "item-not-found" && error.error_text().contains('1'),
            "{}",
            error.xml
        );
        scene
            .trunk
            .expect_none("part", |message| message.method() == Some("MESSAGE"))
    })
}

/// Large texts from SIP, over TCP.
#[test]
fn large_texts_come_in_over_tcp() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let path = scene.trunk.tcp_to(integration_tests::kamailio::GATEWAY)?;
        let text = long_text("in", 8_000);
        let answer = scene.trunk.ask(&scene.draft(&text), &path)?;
        ensure!(answer.status() == Some(202), "{answer}");
        scene.alice.expect_body(&text).map(drop)
    })
}

/// U14: stanzas beyond every bound are refused or dropped, and the stream stays.
#[test]
fn monstrous_stanzas_do_not_end_the_stream() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        let bob = scene.contact(r"bob\40phones.test");
        let deep = format!("{}{}", "<a xmlns='x'>".repeat(90), "</a>".repeat(90));
        let many = "<b xmlns='x'/>".repeat(6_000);
        let attribute = format!("<a xmlns='x' y='{}'/>", "z".repeat(9_000));
        let large = "x".repeat(600_000);
        for (id, inside, refused) in [
            ("deep", format!("<body>deep</body>{deep}"), true),
            ("many", format!("<body>many</body>{many}"), true),
            ("large", format!("<body>{large}</body>"), true),
            (
                "attribute",
                format!("<body>attribute</body>{attribute}"),
                false,
            ),
        ] {
            scene.alice.send(&format!(
                "<message to='{bob}' id='{id}' type='chat'>{inside}</message>"
            ))?;
            if refused {
                let error = scene.alice.expect_error(id)?;
                ensure!(
                    error.condition() == "policy-violation",
                    "{id}: {}",
                    error.xml.chars().take(300).collect::<String>()
                );
            } else {
                scene.trunk.expect_body(id)?.reply(200, "OK")?;
            }
            scene.alice.ask(
                "get",
                scene.server.gateway(),
                "<ping xmlns='urn:xmpp:ping'/>",
            )?;
        }
        let log = scene.tandem.component.read_log()?;
        ensure!(
            log.matches("connected to the XMPP server").count() == 1,
            "the stream was opened again:\n{log}"
        );
        scene.tandem.component.terminate().map(drop)
    })
}

fn long_text(start: &str, length: usize) -> String {
    let mut text = start.to_owned();
    let mut at = 0;
    while text.len() < length {
        at += 1;
        text.push_str(&format!(" word{at}"));
    }
    text
}
