//! What SIP peers put into a MESSAGE, and what a user reads of it (checklist rows M02, M18, M19).

use anyhow::{Result, ensure};
use integration_tests::sip::Draft;
use integration_tests::tandem::with_tandem;
use integration_tests::{Scene, Server};

/// M02: markup becomes text.
#[test]
fn html_is_read_as_text() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let html = "<html><head><title>t</title></head><body><p>Hello <b>you</b> &amp; me</p><script>alert(1)</script></body></html>";
        expect_text(
            &scene,
            scene.draft("").with_body("text/html", html.as_bytes()),
            "Hello you & me",
        )
    })
}

/// M18: charsets, and characters XML cannot carry. The stream survives all of it.
#[test]
fn charsets_are_converted_and_illegal_characters_replaced() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let cases: [(&str, &[u8], &str); 7] = [
            ("text/plain;charset=iso-8859-1", b"gr\xfc\xdfe", "grüße"),
            ("text/plain; charset=\"windows-1252\"", b"5 \x80", "5 €"),
            ("text/plain;charset=UTF-16", b"\xfe\xff\0u\0t\0f", "utf"),
            (
                "text/plain",
                b"nul \0 and bell \x07",
                "nul \u{fffd} and bell \u{fffd}",
            ),
            (
                "text/plain;charset=utf-8",
                b"not \xff utf",
                "not \u{fffd} utf",
            ),
            ("text/plain", b"\xef\xbf\xbf end", "\u{fffd} end"),
            ("text/plain", b"dos\r\nlines\r\n", "dos\nlines\n"),
        ];
        for (kind, body, text) in cases {
            expect_text(&scene, scene.draft("").with_body(kind, body), text)?;
        }
        let answer = scene.ask(
            &scene
                .draft("")
                .with_body("text/plain;charset=klingon", b"x"),
        )?;
        ensure!(answer.status() == Some(415), "{answer}");
        Ok(())
    })
}

/// M19: of several parts the best text is read; nothing is fetched from elsewhere.
#[test]
fn the_best_part_of_several_is_read() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        let alternative = "--b\r\nContent-Type: text/html\r\n\r\n<i>marked up</i>\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n";
        let draft = scene
            .draft("")
            .with_body("multipart/alternative;boundary=b", alternative.as_bytes());
        expect_text(&scene, draft, "plain")?;
        let mixed = "--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b\r\nContent-Type: text/plain\r\n\r\nbeside a picture\r\n--b--\r\n";
        let draft = scene
            .draft("")
            .with_body("multipart/mixed; boundary=\"b\"", mixed.as_bytes());
        expect_text(&scene, draft, "beside a picture")?;
        for (kind, body) in [
            (
                "multipart/mixed;boundary=b",
                "--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--\r\n",
            ),
            (
                "message/external-body; access-type=URL; URL=\"http://127.0.0.1/\"",
                "Content-Type: text/plain\r\n\r\n",
            ),
        ] {
            let answer = scene.ask(&scene.draft("").with_body(kind, body.as_bytes()))?;
            ensure!(answer.status() == Some(415), "{kind}: {answer}");
        }
        Ok(())
    })
}

/// What is not built is refused with what is; an empty body is nothing to deliver.
#[test]
fn unknown_types_are_refused_and_empty_bodies_ignored() -> Result<()> {
    with_tandem(|bench| {
        let scene = Scene::open(bench, Server::chosen()?)?;
        for kind in [
            "message/imdn+xml",
            "application/im-iscomposing+xml",
            "message/cpim",
            "application/sdp",
            "image/png",
        ] {
            let answer = scene.ask(&scene.draft("").with_body(kind, b"<x/>"))?;
            ensure!(answer.status() == Some(415), "{kind}: {answer}");
            let accept = answer.header("Accept");
            ensure!(
                accept.contains("text/plain")
                    && !accept.contains("imdn")
                    && !accept.contains("cpim"),
                "{answer}"
            );
        }
        let answer = scene.ask(&scene.draft("zipped").with("Content-Encoding", "gzip"))?;
        ensure!(
            answer.status() == Some(415) && answer.header("Accept-Encoding") == "identity",
            "{answer}"
        );

        let answer = scene.ask(&Draft::message(
            &scene.uri("alice"),
            "sip:bob@phones.test",
            "",
        ))?;
        ensure!(matches!(answer.status(), Some(200 | 202)), "{answer}");
        expect_text(&scene, scene.draft("the end"), "the end")?;
        scene.alice.expect_none("message", |stanza| {
            stanza.name == "message" && stanza.kind() == "chat"
        })
    })
}

/// Sends `draft` byte for byte, and waits until alice reads `text`.
fn expect_text(scene: &Scene, draft: Draft, text: &str) -> Result<()> {
    let answer = scene.ask(&draft)?;
    ensure!(answer.status() == Some(202), "{text:?}: {answer}");
    scene.alice.expect_body(text).map(drop)
}
