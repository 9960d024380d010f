//! The SIP layer on the wire: what is understood, what is refused, and over which transports
//! (checklist rows N12, N15, N16; RFC 3261 §8.2, RFC 4475).

use std::io::Write;
use std::process::Command;

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::process::Process;
use integration_tests::scene::{Plan, trunk};
use integration_tests::sip::{Draft, Message};
use integration_tests::tandem::{Trunk, with_tandem};
use integration_tests::{Bench, Scene, Server, certificates, on_both_servers, program};

on_both_servers!(
    /// One conversation over UDP and one over TCP, in both directions.
    both_plain_transports_carry_both_directions,
);

fn both_plain_transports_carry_both_directions(bench: &Bench, server: Server) -> Result<()> {
    let mut plan = Plan::usual(server);
    plan.tandem.trunks.push(Trunk {
        name: "stream",
        matches: "*@stream.test",
        transport: "tcp",
        ..trunk()
    });
    let scene = plan.open(bench)?;
    for (localpart, transport) in [(r"bob\40phones.test", "UDP"), (r"bob\40stream.test", "TCP")] {
        for text in ["first", "second"] {
            let text = format!("{text} over {transport}");
            scene
                .alice
                .send_chat(&scene.contact(localpart), &text, &text)?;
            let request = scene.trunk.expect_body(&text)?;
            ensure!(request.path.transport() == transport, "{}", request.message);
            request.reply(200, "OK")?;
        }
    }
    let stream = scene.trunk.tcp_to(GATEWAY)?;
    for (path, text) in [
        (scene.path()?, "in over UDP"),
        (stream.clone(), "in over TCP"),
        (stream, "again over TCP"),
    ] {
        let answer = scene.trunk.ask(&scene.draft(text), &path)?;
        ensure!(answer.status() == Some(202), "{answer}");
        scene.alice.expect_body(text)?;
    }
    Ok(())
}

/// A peer over TLS is answered on its own connection.
#[test]
fn requests_come_in_over_tls() -> Result<()> {
    with_tandem(|bench| {
        let certificate = certificates::make(bench, &["localhost"])?;
        let files = format!(
            "[[listen]]\ntransport = \"tls\"\naddress = \"{TLS}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
            certificate.certificate.display(),
            certificate.key.display()
        );
        let mut plan = Plan::usual(Server::chosen()?);
        plan.tandem.b2bua_extra = &files;
        let scene = plan.open(bench)?;
        let mut command = Command::new(program::find("openssl", "openssl")?);
        command.args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-connect",
            TLS,
            "-CAfile",
        ]);
        command.arg(&certificate.certificate);
        let (mut client, mut input) = Process::start_with_input(bench, "tls-client", command)?;
        let path = scene.path()?;
        for text in ["over TLS", "again over TLS"] {
            let request = scene
                .draft(text)
                .render(&path)
                .replace("SIP/2.0/UDP", "SIP/2.0/TLS");
            let mark = client.mark()?;
            input.write_all(request.as_bytes())?;
            client.wait_log_since(mark, "SIP/2.0 202 ")?;
            scene.alice.expect_body(text)?;
        }
        Ok(())
    })
}

/// OPTIONS tells what is built, and no more.
#[test]
fn options_tell_what_is_built() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let answer = scene.ask(&Draft::new(
            "OPTIONS",
            &format!("sip:{}", scene.server.gateway()),
        ))?;
        answer.reparse()?;
        ensure!(answer.status() == Some(200), "{answer}");
        let allow = answer.header("Allow");
        ensure!(
            allow.contains("MESSAGE") && allow.contains("OPTIONS") && allow.contains("INVITE"),
            "{answer}"
        );
        let accept = answer.header("Accept");
        ensure!(
            accept.contains("text/plain")
                && accept.contains("application/sdp")
                && !accept.contains("imdn")
                && !accept.contains("cpim"),
            "{answer}"
        );
        Ok(())
    })
}

/// N16 and RFC 3261 §8.2: what is wrong or unknown is answered as the RFC says.
#[test]
fn what_is_not_understood_is_answered() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let uri = scene.uri("alice");
        for method in [
            "INVITE",
            "SUBSCRIBE",
            "NOTIFY",
            "PUBLISH",
            "REGISTER",
            "INFO",
            "UPDATE",
            "REFER",
            "BYE",
        ] {
            let answer = scene.ask(&Draft::new(method, &uri))?;
            ensure!(
                match method {
                    // It has no Contact.
                    "INVITE" => answer.status() == Some(400),
                    // Phones are told why they cannot register.
                    "REGISTER" => answer.start_line().contains("403 No registrations here"),
                    _ => matches!(answer.status(), Some(405 | 481 | 501)),
                },
                "{method}: {answer}"
            );
            ensure!(
                answer.status() != Some(405) || answer.header("Allow").contains("MESSAGE"),
                "{answer}"
            );
            if method == "INVITE" {
                // RFC 3261 §17.1.1.3: without it the answer is repeated.
                let path = scene.path()?;
                let to = answer.header("To");
                let ack = Draft::new("ACK", &uri)
                    .with("Call-ID", &answer.header("Call-ID"))
                    .with("To", &to);
                path.send(&ack.to_bytes(&path))?;
            }
        }
        let cases = [
            (Draft::new("DANCE", &uri), 501),
            (scene.draft("x").with("Require", "100rel, magic"), 420),
            (scene.draft("x").with("CSeq", "1 OPTIONS"), 400),
            (scene.draft("x").with("CSeq", "MESSAGE"), 400),
            (scene.draft("x").with("CSeq", "4294967296 MESSAGE"), 400),
            (scene.draft("x").with("Max-Forwards", "0"), 483),
            (scene.draft("x").with("Max-Forwards", "many"), 400),
            (
                scene
                    .draft("x")
                    .with("To", "<sip:alice@localhost>;tag=dialog"),
                481,
            ),
            (scene.draft("x").without("To"), 400),
            (scene.draft("x").with("From", "<sip:bob@phones.test"), 400),
        ];
        for (draft, status) in cases {
            let answer = scene.ask(&draft)?;
            ensure!(answer.status() == Some(status), "{draft:?}: {answer}");
            ensure!(
                answer.headers("To").iter().all(|to| to.contains(";tag=")),
                "{answer}"
            );
            ensure!(
                status != 420 || answer.header("Unsupported").contains("magic"),
                "{answer}"
            );
        }
        let path = scene.path()?;
        let other = scene.draft("x");
        path.send(
            other
                .render(&path)
                .replace(" SIP/2.0\r\nVia", " SIP/3.0\r\nVia")
                .as_bytes(),
        )?;
        scene.trunk.expect_status(505)?;
        // Whatever came before, it still works.
        ensure!(scene.ask(&scene.draft("the end"))?.status() == Some(202));
        scene.alice.expect_body("the end")?;
        scene
            .alice
            .expect_none("message", |stanza| stanza.body() == Some("x"))
    })
}

/// N12: our own request that comes back is a loop; hops are counted, and a breadth (RFC 5393) is a proxy's affair.
#[test]
fn loops_are_cut() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        scene
            .alice
            .send_chat(&scene.contact(r"bob\40phones.test"), "m1", "around")?;
        let request = scene.trunk.expect_body("around")?;
        ensure!(
            request.message.header("Max-Forwards").parse::<u32>()? <= 70,
            "{}",
            request.message
        );
        // A proxy that sends it back where it came from.
        let path = scene.path()?;
        let via = format!(
            "Via: SIP/2.0/UDP {};branch=z9hG4bK-proxy;rport\r\nVia:",
            path.source()
        );
        let back = request.message.to_string().replacen("Via:", &via, 1);
        path.send(back.as_bytes())?;
        let answer = scene.trunk.expect("an answer to the loop", |message| {
            message.status().is_some() && message.header("Via").contains("z9hG4bK-proxy")
        })?;
        ensure!(answer.message.status() == Some(482), "{}", answer.message);
        request.reply(482, "Loop Detected")?;
        ensure!(scene.alice.expect_error("m1")?.condition() == "not-acceptable");
        let last = scene
            .draft("the last hop")
            .with("Max-Forwards", "1")
            .with("Max-Breadth", "0");
        ensure!(scene.ask(&last)?.status() == Some(202));
        scene.alice.expect_body("the last hop").map(drop)
    })
}

/// N15: odd but legal ways to write a request.
#[test]
fn odd_but_legal_requests_are_understood() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let path = scene.path()?;
        let user = scene.uri("alice");
        let requests = [
            (
                "compact",
                format!(
                    "MESSAGE {user} SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bK-compact;rport\r\nf: <sip:bob@phones.test>;tag=1\r\n\
                     t: <{user}>\r\ni: compact-1\r\nCSEQ: 1 MESSAGE\r\nmax-forwards: 70\r\nc: text/plain\r\nl: 7\r\n\r\ncompact"
                ),
            ),
            (
                "folded",
                format!(
                    "MESSAGE {user} SIP/2.0\r\nVia  : SIP / 2.0 / UDP\r\n  127.0.0.1:5090 ; branch = z9hG4bK-folded;rport\r\nFrom:\r\n \
                     \"a \\\"quoted\\\" <name>\"\r\n\t<sip:bob@phones.test>\r\n ;\r\n tag\t= 2\r\nTo: <{user}>\r\nCall-ID: folded-1\r\n\
                     CSeq:   0000000009\r\n  MESSAGE\r\nMax-Forwards: 0068\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nfolded"
                ),
            ),
            (
                "no-length",
                format!(
                    "MESSAGE {user} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bK-nolength;rport, SIP/2.0/UDP [2001:db8::9:1]:5070;branch=z9hG4bK-b\r\n\
                     From: sip:bob@phones.test;tag=3\r\nTo: {user}\r\nCall-ID: nolength-1@[2001:db8::1]\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\n\
                     NewFangled: newfangled value\r\n  continued\r\nContent-Type: text/plain\r\n\r\nno-length"
                ),
            ),
            (
                "no-rport",
                format!(
                    "MESSAGE {user} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bK-norport\r\nFrom: <sip:bob@phones.test;x=y?z=1>;tag=4\r\n\
                     To: \"\" <{user}>\r\nCall-ID: %Z%45\r\nCSeq: 2147483647 MESSAGE\r\nMax-Forwards: 255\r\nContent-Type: text/plain ; charset = \"UTF-8\"\r\n\
                     Content-Length: 8\r\n\r\nno-rport"
                ),
            ),
        ];
        for (text, request) in requests {
            path.send(request.as_bytes())?;
            let answer = scene
                .trunk
                .expect(&format!("an answer to {text}"), |message| {
                    message.status().is_some_and(|status| status >= 200)
                })?;
            ensure!(
                answer.message.status() == Some(202),
                "{text}: {}",
                answer.message
            );
            let message = scene.alice.expect_body(text)?;
            ensure!(
                message.from() == scene.contact(r"bob\40phones.test"),
                "{}",
                message.xml
            );
        }
        Ok(())
    })
}

/// N15: garbage is refused or dropped, and everything goes on.
#[test]
fn garbage_changes_nothing() -> Result<()> {
    with_tandem(|bench| {
        let mut scene = Scene::open(bench, Server::chosen()?)?;
        let path = scene.path()?;
        let good = scene.draft("x").render(&path);
        let long = format!("MESSAGE sip:{}@x SIP/2.0\r\n\r\n", "a".repeat(40_000));
        for garbage in [
            "".as_bytes(),
            b"\r\n\r\n",
            b"\0\0\0\0",
            b"jaK\r\n\r\n",
            &[0xff; 900],
            long.as_bytes(),
            good.replace("Content-Length: 1", "Content-Length: 9999").as_bytes(),
            good.replace("Content-Length: 1", "Content-Length: -1").as_bytes(),
            good.replace("Via: ", "Via: ,,;;").as_bytes(),
            good.replace("From: <", "From: <<<").as_bytes(),
            good.replace("\r\n", "\n\r").as_bytes(),
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-nobody\r\nCSeq: 1 MESSAGE\r\nCall-ID: a\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n\r\n",
            b"SIP/2.0 99999 No\r\n\r\n",
        ] {
            path.send(garbage)?;
        }
        ensure!(scene.ask(&scene.draft("the end"))?.status() == Some(202));
        scene.alice.expect_body("the end")?;
        scene
            .alice
            .expect_none("message", |stanza| stanza.body() == Some("x"))?;
        scene.tandem.expect_clean_log(&[])?;
        scene.tandem.terminate()
    })
}

/// RFC 3261 §17.2.2: a copy of a request gets a copy of its answer, and is delivered once.
#[test]
fn retransmissions_get_the_same_answer() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let path = scene.path()?;
        let draft = scene.draft("once");
        let request = draft.to_bytes(&path);
        let mut answers = Vec::new();
        for _ in 0..3 {
            path.send(&request)?;
            answers.push(scene.trunk.expect_status(202)?.message);
        }
        ensure!(
            answers
                .iter()
                .all(|answer| answer.raw() == answers[0].raw()),
            "{answers:?}"
        );
        scene.alice.expect_body("once")?;
        scene
            .alice
            .expect_none("copy", |stanza| stanza.body() == Some("once"))
    })
}

/// RFC 3261 §18.3: on a stream, requests come in any pieces, several at once, with keep-alives between.
#[test]
fn streams_are_cut_into_requests() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let path = scene.trunk.tcp_to(GATEWAY)?;
        let drafts: Vec<Draft> = (0..4)
            .map(|at| scene.draft(&format!("piece {at}")))
            .collect();
        let mut bytes = b"\r\n\r\n".to_vec();
        for draft in &drafts {
            bytes.extend_from_slice(&draft.to_bytes(&path));
            bytes.extend_from_slice(b"\r\n\r\n");
        }
        for piece in bytes.chunks(97) {
            path.send(piece)?;
        }
        for (at, draft) in drafts.iter().enumerate() {
            let answer = scene.trunk.expect("an answer", |message: &Message| {
                message.status().is_some() && message.header("Call-ID") == draft.call_id()
            })?;
            ensure!(answer.message.status() == Some(202), "{}", answer.message);
            scene.alice.expect_body(&format!("piece {at}"))?;
        }
        Ok(())
    })
}

const TLS: &str = "127.0.0.1:5071";
