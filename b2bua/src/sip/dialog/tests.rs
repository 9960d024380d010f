use super::*;
use crate::sip::parse::{self, Framing};
use crate::sip::{Flow, Message};

const INVITE: &str = "INVITE sip:us@192.0.2.9 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
    Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2\r\n\
    Record-Route: <sip:192.0.2.1;lr>, <sip:192.0.2.2:5070;lr>\r\n\
    From: <sip:a@a.example>;tag=theirs\r\nTo: <sip:us@tandem.example>\r\n\
    Call-ID: c\r\nCSeq: 10 INVITE\r\nContact: <sip:a@10.0.0.5:5062>\r\n\
    Content-Length: 0\r\n\r\n";

fn request(text: &str) -> Request {
    match parse::parse(text.as_bytes(), Framing::Datagram) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn hop(address: [u8; 4], port: u16) -> Target {
    Target::Hop(Hop {
        host: Host::Ip(IpAddr::from(address)),
        port,
        transport: Transport::Udp,
        server_name: None,
        profile: Default::default(),
    })
}

fn flow() -> Target {
    let peer = ([203, 0, 113, 4], 9999).into();
    Target::Flow {
        flow: Flow::Udp { socket: 0, peer },
        fallback: None,
    }
}

fn called(text: &str) -> Dialog {
    Dialog::from_request(&request(text), "ours", flow()).unwrap()
}

#[test]
fn a_2xx_without_tag_makes_a_dialog_that_can_be_ended() {
    let mut invite = request(INVITE);
    invite
        .headers
        .set(Name::From, "<sip:us@tandem.example>;tag=ours");
    let respond = |status: u16| {
        let mut response = Response::to(&invite, Status::new(status).unwrap());
        response.headers.set(Name::To, "<sip:old@192.0.2.1>");
        Dialog::from_response(&invite, &response, flow())
    };
    assert!(respond(180).is_none());
    let bye = respond(200).unwrap().request(Method::Bye);
    assert_eq!(bye.headers.get(Name::To), Some("<sip:old@192.0.2.1>"));
    assert_eq!(bye.headers.get(Name::CSeq), Some("11 BYE"));
}

fn routes(request: &Request) -> Vec<&str> {
    request.headers.values(Name::Route).collect()
}

#[test]
fn the_called_side_keeps_the_order_of_the_routes() {
    let mut dialog = called(INVITE);
    let bye = dialog.request(Method::Bye);
    assert_eq!(bye.uri.to_string(), "sip:a@10.0.0.5:5062");
    assert_eq!(
        routes(&bye),
        ["<sip:192.0.2.1;lr>", "<sip:192.0.2.2:5070;lr>"]
    );
    let header = |name| bye.headers.get(name).unwrap();
    assert_eq!(header(Name::From), "<sip:us@tandem.example>;tag=ours");
    assert_eq!(header(Name::To), "<sip:a@a.example>;tag=theirs");
    assert_eq!(header(Name::CSeq), "1 BYE");
    assert_eq!(dialog.request(Method::Info).cseq().unwrap().number, 2);
    assert_eq!(dialog.ack(1).headers.get(Name::CSeq), Some("1 ACK"));
}

#[test]
fn the_calling_side_turns_the_order_round() {
    let mut invite = request(INVITE);
    invite.headers.remove(Name::RecordRoute);
    let response = Response::to(&invite, Status::OK)
        .with(Name::RecordRoute, "<sip:192.0.2.1;lr>, <sip:192.0.2.2;lr>")
        .with(Name::Contact, "<sip:b@10.0.0.6>");
    let make = |response: &Response| Dialog::from_response(&invite, response, flow());
    let mut tagged = response;
    tagged
        .headers
        .set(Name::To, "<sip:us@tandem.example>;tag=theirs");
    let mut dialog = make(&tagged).unwrap();
    let bye = dialog.request(Method::Bye);
    assert_eq!(routes(&bye), ["<sip:192.0.2.2;lr>", "<sip:192.0.2.1;lr>"]);
    assert_eq!(bye.uri.to_string(), "sip:b@10.0.0.6");
    assert_eq!(bye.cseq().unwrap().number, 11);
    assert_eq!(
        (dialog.local_tag(), dialog.remote_tag()),
        ("theirs", "theirs")
    );
}

#[test]
fn a_strict_router_stands_in_the_request_uri() {
    let mut dialog = called(&INVITE.replacen(";lr", "", 1));
    let bye = dialog.request(Method::Bye);
    assert_eq!(bye.uri.to_string(), "sip:192.0.2.1");
    assert_eq!(
        routes(&bye),
        ["<sip:192.0.2.2:5070;lr>", "<sip:a@10.0.0.5:5062>"]
    );
}

#[test]
fn requests_out_of_order_are_refused_and_gaps_are_not() {
    let mut dialog = called(INVITE);
    let numbered = |number: u32| request(&INVITE.replace("10 INVITE", &format!("{number} INVITE")));
    assert_eq!(dialog.receive(&numbered(15)), Ok(()));
    for number in [15, 11, 1] {
        let refused = Err(Status::SERVER_INTERNAL_ERROR);
        assert_eq!(dialog.receive(&numbered(number)), refused);
    }
    assert_eq!(dialog.receive(&numbered(16)), Ok(()));
}

#[test]
fn only_a_sip_contact_makes_or_moves_a_dialog() {
    let mut dialog = called(INVITE);
    for (contact, target) in [
        ("<tel:+1>", "sip:a@10.0.0.5:5062"),
        ("*", "sip:a@10.0.0.5:5062"),
        ("<sip:new@192.0.2.7>", "sip:new@192.0.2.7"),
    ] {
        let mut headers = Headers::new();
        headers.push(Name::Contact, contact);
        dialog.refresh_target(&headers);
        assert_eq!(dialog.remote_target().to_string(), target);
        let text = INVITE.replace("<sip:a@10.0.0.5:5062>", contact);
        let made = Dialog::from_request(&request(&text), "x", flow());
        assert_eq!(made.is_ok(), target.contains("new"));
    }
}

#[test]
fn requests_go_to_known_addresses_or_back_the_way_they_came() {
    let known = Admission::new(
        |address| matches!(address, IpAddr::V4(four) if four.octets()[..3] == [192, 0, 2]),
    );
    // Through a proxy whose address is configured.
    assert_eq!(called(INVITE).way(&known), hop([192, 0, 2, 1], 5060));
    // Nobody knows the proxy's inner address.
    let hidden = INVITE.replace("Route: <sip:192.0.2.1;lr>", "Route: <sip:10.1.1.1;lr>");
    assert_eq!(called(&hidden).way(&known), flow());
    // A name is not looked up on a peer's word.
    let named = INVITE.replace("Route: <sip:192.0.2.1;lr>", "Route: <sip:p.example;lr>");
    assert_eq!(called(&named).way(&known), flow());
    // No proxy at all: whatever the Contact says, the source is the peer.
    let direct = INVITE.replace("Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2\r\n", "");
    assert_eq!(called(&direct).way(&known), flow());
}

#[test]
fn nobody_outside_leads_into_our_own_network() {
    let anywhere = Admission::new(|_| true);
    let inner = INVITE.replace("Route: <sip:192.0.2.1;lr>", "Route: <sip:10.1.1.1;lr>");
    let contact = INVITE.replace(
        "Record-Route: <sip:192.0.2.1;lr>, <sip:192.0.2.2:5070;lr>\r\n",
        "",
    );
    let mapped = INVITE.replace(
        "Route: <sip:192.0.2.1;lr>",
        "Route: <sip:[::ffff:10.1.1.1];lr>",
    );
    for text in [&inner, &contact, &mapped] {
        assert_eq!(called(text).way(&anywhere), flow());
    }
    assert_eq!(called(INVITE).way(&anywhere), hop([192, 0, 2, 1], 5060));
    // Our own call to somebody outside, and a Contact that comes later.
    let mut invite = request(&contact);
    invite
        .headers
        .set(Name::From, "<sip:us@tandem.example>;tag=ours");
    let response = Response::to(&invite, Status::OK).with(Name::Contact, "<sip:b@192.0.2.8>");
    let outside = hop([203, 0, 113, 4], 5060);
    let mut dialog = Dialog::from_response(&invite, &response, outside.clone()).unwrap();
    assert_eq!(dialog.way(&anywhere), hop([192, 0, 2, 8], 5060));
    let mut moved = Headers::new();
    moved.push(Name::Contact, "<sip:b@127.0.0.1:5038>");
    dialog.refresh_target(&moved);
    assert_eq!(dialog.way(&anywhere), outside);
    // Within our own network all of it may be meant.
    let peer = ([10, 0, 0, 7], 5060).into();
    let way = Target::Flow {
        flow: Flow::Udp { socket: 0, peer },
        fallback: None,
    };
    let dialog = Dialog::from_request(&request(&inner), "ours", way).unwrap();
    assert_eq!(dialog.way(&anywhere), hop([10, 1, 1, 1], 5060));
}
