use super::*;

fn read_as(kind: &str, body: &[u8]) -> Result<Option<String>, Reason> {
    let mut headers = Headers::new();
    headers.push(Name::ContentType, kind);
    read(&headers, body).map_err(|refusal| refusal.reason)
}

fn text(kind: &str, body: &[u8]) -> String {
    read_as(kind, body).unwrap().unwrap()
}

#[test]
fn charsets_become_utf8() {
    assert_eq!(text("text/plain;charset=UTF-8", "ü😀".as_bytes()), "ü😀");
    assert_eq!(text("text/plain; charset=\"iso-8859-1\"", b"\xfc"), "ü");
    assert_eq!(text("text/plain;charset=windows-1252", b"\x80"), "€");
    assert_eq!(text("text/plain;charset=utf-16", b"\xff\xfeh\0i\0"), "hi");
    assert_eq!(text("text/plain;charset=us-ascii", "ü".as_bytes()), "ü");
    assert_eq!(text("text/plain", b"\xff!"), "\u{fffd}!");
    assert_eq!(
        read_as("text/plain;charset=klingon", b"x"),
        Err(Reason::UnsupportedMedia)
    );
    assert_eq!(
        read_as("text/plain;charset=iso-2022-kr", b"x"),
        Err(Reason::UnsupportedMedia)
    );
}

#[test]
fn what_xml_cannot_carry_is_replaced_and_line_ends_are_one() {
    assert_eq!(
        text("text/plain", b"a\r\nb\rc\nd\te\0f\x1b"),
        "a\nb\nc\nd\te\u{fffd}f\u{fffd}"
    );
    assert_eq!(text("text/plain", "\u{ffff}".as_bytes()), "\u{fffd}");
}

#[test]
fn an_empty_body_is_nothing() {
    assert_eq!(read_as("text/plain", b""), Ok(None));
    assert_eq!(read_as("text/plain", b" \r\n"), Ok(None));
}

#[test]
fn types_that_are_not_read_are_refused() {
    for kind in [
        "message/imdn+xml",
        "application/im-iscomposing+xml",
        "message/cpim",
        "application/sdp",
        "text",
        "",
        "text/plain;=",
    ] {
        assert_eq!(read_as(kind, b"x"), Err(Reason::UnsupportedMedia), "{kind}");
    }
}

#[test]
fn encoded_bodies_are_refused() {
    let mut headers = Headers::new();
    headers.push(Name::ContentEncoding, "gzip");
    assert_eq!(
        read(&headers, b"x").unwrap_err().reason,
        Reason::UnsupportedMedia
    );
}

#[test]
fn html_is_stripped_to_what_a_person_reads() {
    let html = "<html><head><title>t</title></head><body><p>Hello  <b>Romeo</b> &amp;\n co</p>\
        <script>alert('x < y')</script><!-- > hidden -->1 &lt; 2<br/>&#x1F600;&#252;</body>";
    assert_eq!(
        text("text/html", html.as_bytes()),
        "Hello Romeo & co\n1 < 2\n😀ü"
    );
}

#[test]
fn broken_html_neither_panics_nor_lets_markup_through() {
    for html in [
        "<",
        "a<b",
        "<script>x",
        "&#xfffffff;",
        "&;",
        "<ü>",
        "<!--",
        "a < b > c",
        "&lt;b&gt;",
    ] {
        let _ = read_as("text/html", html.as_bytes());
    }
    assert_eq!(text("text/html", b"a < b"), "a < b");
    assert_eq!(text("text/html", b"&lt;script&gt;"), "<script>");
}

const ALTERNATIVE: &[u8] = b"preamble\r\n--x y\r\nContent-Type: text/html\r\n\r\n<b>hi</b>\r\n\
    --x y\r\nContent-Type: text/plain;charset=utf-8\r\n\r\nhi\r\nthere\r\n--x y--\r\nepilogue";

#[test]
fn the_plain_part_is_preferred() {
    assert_eq!(
        text("multipart/alternative;boundary=\"x y\"", ALTERNATIVE),
        "hi\nthere"
    );
}

#[test]
fn parts_may_hold_parts_to_a_depth() {
    let mut body = b"deep".to_vec();
    let mut kind = "text/plain".to_owned();
    for depth in 0..3 {
        let head = format!("--b{depth}\r\nContent-Type: {kind}\r\n\r\n");
        body = [
            head.as_bytes(),
            &body,
            format!("\r\n--b{depth}--\r\n").as_bytes(),
        ]
        .concat();
        kind = format!("multipart/mixed;boundary=b{depth}");
    }
    assert_eq!(text(&kind, &body), "deep");
    let body = [
        b"--o\r\nContent-Type: ",
        kind.as_bytes(),
        b"\r\n\r\n",
        &body,
        b"\r\n--o--",
    ]
    .concat();
    assert_eq!(
        read_as("multipart/mixed;boundary=o", &body),
        Err(Reason::UnsupportedMedia)
    );
}

#[test]
fn broken_parts_are_refused_without_panic() {
    for body in [
        &b"--b"[..],
        b"--b--",
        b"--b\r\n",
        b"",
        b"--b\n\n--b\n\n--b",
        b"x--b\r\n\r\nhi",
    ] {
        let _ = read_as("multipart/mixed;boundary=b", body);
    }
    assert_eq!(
        read_as("multipart/mixed", ALTERNATIVE),
        Err(Reason::UnsupportedMedia)
    );
    assert_eq!(
        text("multipart/mixed;boundary=b", b"--b\n\nbare\n--b--"),
        "bare"
    );
}

#[test]
fn a_description_is_found_among_other_parts() {
    let kind = "multipart/mixed;boundary=\"b c\"";
    let body = b"--b c\r\nContent-Type: application/isup\r\n\r\n\x01\x10v=0\r\n--b c\r\n\
        Content-Type: multipart/related;boundary=i\r\n\r\n--i\r\ncontent-type: application/SDP; x=y\r\n\r\n\
        v=0\r\nm=audio 4000 RTP/AVP 0\r\n--i--\r\n--b c--\r\n";
    let found = sdp::Sdp::read(kind, body).unwrap();
    assert_eq!(found.media[0].port, 4000);
    let plain = b"v=0\r\nm=audio 4002 RTP/AVP 0\r\n";
    let found = sdp::Sdp::read("Application/sdp ; charset=x", plain).unwrap();
    assert_eq!(found.media[0].port, 4002);
    let coded =
        String::from_utf8_lossy(body).replace("x=y", "x=y\r\nContent-Transfer-Encoding: base64");
    for (kind, body) in [
        (kind, coded.as_bytes()),
        ("multipart/mixed;boundary=other", body),
        ("multipart/mixed", body),
        ("text/plain", plain),
        ("", plain),
    ] {
        sdp::Sdp::read(kind, body).unwrap_err();
    }
}
