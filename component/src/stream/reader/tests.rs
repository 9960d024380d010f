use super::*;
use crate::xml;

const OPENING: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' from='sip.localhost' id='a&amp;b'>";

fn read(pieces: &[&str]) -> (Vec<Input>, bool) {
    let mut reader = Reader::new(10_000);
    let mut inputs = Vec::new();
    for piece in pieces {
        let broken = reader.read(piece.as_bytes()).is_err();
        inputs.extend(std::iter::from_fn(|| reader.next_input()));
        if broken {
            return (inputs, true);
        }
    }
    (inputs, false)
}

fn stanzas(inputs: &[Input]) -> usize {
    let whole = |input: &&Input| matches!(input, Input::Stanza(_));
    inputs.iter().filter(whole).count()
}

#[test]
fn the_stream_id_is_unescaped() {
    let (inputs, _) = read(&[OPENING]);
    assert_eq!(inputs, [Input::Opened { id: "a&b".into() }]);
}

#[test]
fn stanzas_come_whole_at_any_division() {
    let text = format!(
        "{OPENING} <message from='a@b' to='c@d' xml:lang='de'><body>Grüße &lt;3</body><x xmlns='n'/></message><presence/>"
    );
    for at in (1..text.len()).filter(|at| text.is_char_boundary(*at)) {
        let (head, tail) = text.split_at(at);
        let (inputs, broken) = read(&[head, tail]);
        assert!(!broken && stanzas(&inputs) == 2, "divided at {at}");
        let Some(Input::Stanza(message)) = inputs.get(1) else {
            panic!("no stanza at {at}");
        };
        assert_eq!(
            message.get_child("body", xml::COMPONENT).unwrap().text(),
            "Grüße <3"
        );
        assert_eq!(crate::stanza::lang(message), Some("de"));
        assert!(message.has_child("x", "n"));
    }
}

#[test]
fn a_deeply_nested_stanza_is_skipped_and_the_stream_goes_on() {
    let bomb = format!(
        "<message from='evil@b' to='c@d' id='1'>{}{}</message>",
        "<x xmlns='n'>".repeat(30_000),
        "</x>".repeat(30_000)
    );
    let (inputs, broken) = read(&[OPENING, &bomb, "<presence/>"]);
    assert!(!broken);
    let Some(Input::Skipped(tag, Defect::TooDeep)) = inputs.get(1) else {
        panic!("{inputs:?}");
    };
    assert_eq!((tag.attr("id"), tag.children().count()), (Some("1"), 0));
    assert_eq!(stanzas(&inputs), 1);
}

#[test]
fn large_stanzas_are_skipped_and_the_stream_goes_on() {
    for bomb in [
        format!(
            "<message to='c@d'><body>{}</body></message>",
            "x".repeat(20_000)
        ),
        format!("<message to='c@d'>{}</message>", "<x/>".repeat(20_000)),
        format!("<message to='c@d' y='{}'/>", "x".repeat(20_000)),
    ] {
        let (inputs, broken) = read(&[OPENING, &bomb, "<presence/>"]);
        assert!(!broken);
        assert!(
            matches!(inputs.get(1), Some(Input::Skipped(_, Defect::TooLarge))),
            "{inputs:?}"
        );
        assert_eq!(stanzas(&inputs), 1);
    }
}

#[test]
fn long_attributes_and_odd_children_pass() {
    let attribute = format!("<iq to='a@b' type='get' id='{}'/>", "i".repeat(9_000));
    let (inputs, broken) = read(&[OPENING, &attribute, "<handshake/>", "<unknown xmlns='u'/>"]);
    assert!(!broken);
    assert_eq!(stanzas(&inputs), 3);
}

#[test]
fn entities_and_unclosed_tags_end_the_stream() {
    assert!(read(&[OPENING, "<message>&evil;</message>"]).1);
    assert!(read(&[OPENING, "<message></presence>"]).1);
    assert!(read(&["<!DOCTYPE x [<!ENTITY a 'b'>]>"]).1);
}

#[test]
fn prefixes_mean_what_they_were_declared_to_mean() {
    let text = "<message xmlns:a='outer'><a:x xmlns:a='inner' a:y='1'><a:z/></a:x><a:x/><q xmlns='d'><r/></q></message>";
    let (inputs, broken) = read(&[OPENING, text, "<presence/>"]);
    assert!(!broken);
    let Some(Input::Stanza(message)) = inputs.get(1) else {
        panic!("{inputs:?}");
    };
    let inner = message.get_child("x", "inner").unwrap();
    assert_eq!(inner.attr_ns("inner", "y"), Some("1"));
    assert!(inner.has_child("z", "inner"));
    assert!(message.has_child("x", "outer"));
    assert!(message.get_child("q", "d").unwrap().has_child("r", "d"));
    let Some(Input::Stanza(presence)) = inputs.get(2) else {
        panic!("{inputs:?}");
    };
    assert!(presence.is("presence", xml::COMPONENT));
    assert!(read(&[OPENING, "<message><b:x/></message>"]).1);
    assert!(read(&[OPENING, "<message xmlns:a='o'/><message><a:x/></message>"]).1);
}

#[test]
fn closing_is_heard() {
    let (inputs, _) = read(&[OPENING, "<presence/></stream:stream>"]);
    assert_eq!(inputs.last(), Some(&Input::Closed));
}
