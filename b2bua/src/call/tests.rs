//! Whole calls through the core: facts of the component, packets of SIP and words of media in,
//! their counterparts out.

use std::net::IpAddr;
use std::sync::Arc;

use tandem_shared::address::Address;
use tandem_shared::bus::SessionId;
use tandem_shared::call::{
    CallEvent, CallId, Describe, Dtmf, End, EndReason, Fact, Offer, Ready, Role,
};
use tandem_shared::event::Event as BusEvent;
use tandem_shared::media::{Description, Direction, Dtls, IceCredentials, Media, Setup};

use crate::action::Action;
use crate::body::sdp::Sdp;
use crate::call::negotiate::Encoding;
use crate::core::bench::Bench;
use crate::media::{
    AnchorId, Command, Event, Failure, Fingerprint, Flow, Leg, Report, SipLocal, XmppLocal,
};
use crate::settings::tests::settings;
use crate::sip::{Method, Request, Response, Status};
use crate::trunk::{Trunk, Trunks};

mod emergency;
mod flow;
mod fork;
mod limits;
mod minutes;
mod numbers;
mod replacing;
mod search;
mod share;
mod welcome;

const PEER: &str = "192.0.2.2:5070";

fn id() -> CallId {
    CallId("c1".into())
}

fn address(user: &str, host: &str) -> Address {
    Address::new(user, host).unwrap()
}

fn fingerprint() -> Fingerprint {
    Fingerprint {
        hash: "sha-256".into(),
        value: "AB:CD".into(),
    }
}

fn opened(anchor: AnchorId) -> Event {
    let ip: IpAddr = "198.51.100.1".parse().unwrap();
    Event::Opened {
        anchor,
        xmpp: Box::new(XmppLocal {
            ice: IceCredentials {
                ufrag: "ours".into(),
                pwd: "secret-of-ours".into(),
            },
            fingerprint: fingerprint(),
            candidates: Vec::new(),
            ssrc: 1,
            cname: "cname".into(),
        }),
        sip: Box::new(SipLocal {
            rtp: (ip, 20_000).into(),
            rtcp: (ip, 20_001).into(),
            keys: Vec::new(),
            fingerprint: fingerprint(),
            ssrc: 2,
        }),
    }
}

/// What a client says that speaks opus and PCMU.
fn description(ufrag: &str, setup: Setup) -> Description {
    let codec = |id, name: &str, clock, channels| tandem_shared::media::Codec {
        id,
        name: name.into(),
        clock,
        channels,
        parameters: Vec::new(),
        feedback: Vec::new(),
        ptime: None,
        maxptime: None,
    };
    let stream = tandem_shared::media::Stream {
        mid: "audio".into(),
        media: Media::Audio,
        direction: Direction::Both,
        rejected: false,
        codecs: vec![codec(111, "opus", 48_000, 2), codec(0, "PCMU", 8000, 1)],
        rtcp_mux: true,
        extensions: Vec::new(),
        sources: Vec::new(),
        transport: tandem_shared::media::Transport {
            ice: Some(IceCredentials {
                ufrag: ufrag.into(),
                pwd: "secret-of-theirs".into(),
            }),
            dtls: Some(Dtls {
                hash: "sha-256".into(),
                fingerprint: "12:34".into(),
                setup,
            }),
            candidates: Vec::new(),
        },
    };
    Description {
        streams: vec![stream],
        bundle: Vec::new(),
    }
}

const PCMU: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

impl Bench {
    fn fact(&mut self, fact: Fact) {
        self.fact_of(&id(), fact);
    }

    fn fact_of(&mut self, call: &CallId, fact: Fact) {
        let call = call.clone();
        let session = SessionId::call(&call);
        let event = CallEvent { call, fact };
        self.say(session, BusEvent::Call(Box::new(event)));
    }

    fn facts(&mut self) -> Vec<Fact> {
        let mut found = Vec::new();
        let mut called = None;
        self.actions.retain(|action| {
            if let Action::Publish(envelope) = action
                && let BusEvent::Call(event) = &envelope.event
            {
                called = Some(event.call.clone());
                found.push(event.fact.clone());
                return false;
            }
            true
        });
        self.called = called.unwrap_or_else(|| self.called.clone());
        found
    }

    fn commands(&mut self) -> Vec<Command> {
        let mut found = Vec::new();
        self.actions.retain(|action| {
            if let Action::Media(command) = action {
                found.push(Command::clone(command));
                return false;
            }
            true
        });
        found
    }

    fn media(&mut self, event: Event) {
        self.core.handle_media(event, self.now);
        self.pass(0);
    }

    /// Lets media reserve ports for the call just begun.
    fn open_media(&mut self) -> AnchorId {
        let commands = self.commands();
        let [Command::Open { anchor, .. }] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        let anchor = *anchor;
        self.media(opened(anchor));
        anchor
    }

    /// Answers a request of ours within a dialog.
    fn respond(&mut self, request: &Request, code: u16, body: &str) {
        let mut response = Response::to(request, Status::new(code).unwrap());
        let to = request.headers.get("To").unwrap();
        if !to.contains("tag=") {
            response.headers.set("To", &format!("{to};tag=theirs"));
        }
        response
            .headers
            .push("Contact", "<sip:romeo@192.0.2.2:5070>");
        if !body.is_empty() {
            response.headers.push("Content-Type", "application/sdp");
            response.body = bytes::Bytes::copy_from_slice(body.as_bytes());
        }
        let mut bytes = Vec::new();
        response.print(&mut bytes);
        self.packet(PEER, &bytes);
    }

    /// A call of juliet's is answered by a phone that speaks PCMU.
    fn call_to_sip(&mut self, description: Option<Description>) -> (AnchorId, Request) {
        self.fact(offer(description));
        let anchor = self.open_media();
        let (invite, _) = self.request();
        self.respond(&invite, 200, PCMU);
        (anchor, invite)
    }

    /// A phone calls juliet.
    fn call_from_sip(&mut self, body: &str) -> AnchorId {
        self.packet(PEER, &invite("a", body));
        self.open_media()
    }

    fn is_empty(&mut self) -> bool {
        self.pass(400);
        self.core.calls() == (0, 0)
    }
}

fn offer(description: Option<Description>) -> Fact {
    Fact::Offer(Box::new(Offer {
        from: address("juliet", "example.com"),
        to: address("romeo", "pbx.example.net"),
        name: None,
        media: vec![Media::Audio],
        description,
        hops: 69,
    }))
}

fn invite(branch: &str, body: &str) -> Vec<u8> {
    format!(
        "INVITE sip:juliet%40example.com@sip.example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP {PEER};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: \"Romeo\" <sip:romeo@pbx.example.net>;tag=theirs\r\n\
         To: <sip:juliet%40example.com@sip.example.com>\r\nCall-ID: {branch}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:romeo@{PEER}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An INVITE that wants to replace the call `invite` of ours began, whose other end has the tag `theirs`.
fn replacing(branch: &str, ours: &Request, body: &str, more: &str) -> Vec<u8> {
    let from = ours.headers.get("From").unwrap();
    let tag = from.split_once(";tag=").unwrap().1;
    let replaces = format!(
        "Replaces: {};to-tag={tag};from-tag=theirs{more}\r\nContact",
        ours.call_id()
    );
    let bytes = invite(branch, body);
    let text = String::from_utf8(bytes).unwrap();
    text.replace("tag=theirs", "tag=another")
        .replacen("Contact", &replaces, 1)
        .into_bytes()
}

fn answered(role: Role, description: Description) -> Fact {
    Fact::Describe(Box::new(Describe { role, description }))
}

fn sip_flow(commands: &[Command]) -> Option<&Flow> {
    commands.iter().rev().find_map(|command| {
        let Command::ConnectSip { flow, .. } = command else {
            return None;
        };
        Some(&**flow)
    })
}

fn end_of(facts: &[Fact]) -> Option<EndReason> {
    facts.iter().find_map(|fact| {
        let Fact::End(end) = fact else {
            return None;
        };
        Some(end.reason)
    })
}

#[test]
fn a_proposed_call_is_connected_when_the_phone_answers() {
    let mut bench = Bench::new();
    bench.fact(offer(None));
    let anchor = bench.open_media();
    let (invite, _) = bench.request();
    assert_eq!(invite.method, Method::Invite);
    assert_eq!(invite.headers.get("Max-Forwards"), Some("69"));
    let said = Sdp::parse(&invite.body).unwrap();
    let names: Vec<_> = said.media[0]
        .codecs
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert!(
        names.contains(&"opus") && names.contains(&"PCMU"),
        "{names:?}"
    );
    bench.respond(&invite, 180, "");
    bench.respond(&invite, 180, "");
    assert_eq!(bench.facts(), [Fact::Ringing]);
    bench.respond(&invite, 200, PCMU);
    let ready = Ready {
        answered: true,
        device: None,
    };
    assert_eq!(bench.facts(), [Fact::Ready(ready)]);
    let (ack, _) = bench.request();
    assert_eq!(ack.method, Method::Ack);
    bench.fact(answered(Role::Offer, description("x", Setup::Actpass)));
    let facts = bench.facts();
    let [Fact::Describe(described)] = facts.as_slice() else {
        panic!("{facts:?}");
    };
    // The phone speaks PCMU alone, and so does the client then: packets are relayed.
    assert_eq!(described.role, Role::Answer);
    let stream = &described.description.streams[0];
    assert_eq!(stream.codecs[0].name, "PCMU");
    let dtls = stream.transport.dtls.as_ref().unwrap();
    assert_eq!(dtls.setup, Setup::Passive);
    let commands = bench.commands();
    assert_eq!(sip_flow(&commands).unwrap().send.name, "PCMU");
    assert!(
        commands
            .iter()
            .any(|c| matches!(c, Command::ConnectXmpp { anchor: a, .. } if *a == anchor))
    );
    bench.fact(Fact::End(End::new(EndReason::Success)));
    let (bye, _) = bench.request();
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(bench.commands(), [Command::Release { anchor }]);
    bench.respond(&bye, 200, "");
    assert!(bench.is_empty());
}

#[test]
fn a_call_begun_with_a_description_is_answered_with_one() {
    let mut bench = Bench::new();
    let (_, _) = bench.call_to_sip(Some(description("x", Setup::Actpass)));
    let facts = bench.facts();
    let roles: Vec<_> = facts
        .iter()
        .filter_map(|fact| {
            let Fact::Describe(describe) = fact else {
                return None;
            };
            Some(describe.role)
        })
        .collect();
    assert_eq!(roles, [Role::Answer]);
}

#[test]
fn the_codecs_of_a_route_bind_its_sip_leg_alone() {
    let mut settings = settings();
    let trunks = settings.trunks.iter().map(|(_, trunk)| trunk.clone());
    let trunks = trunks.map(|mut trunk| {
        trunk.media.codecs = vec![Encoding::Pcmu];
        trunk
    });
    settings.trunks = Arc::new(Trunks::new(trunks.collect()));
    let mut bench = Bench::with(settings);
    let mut offered = description("x", Setup::Actpass);
    let of_client = &mut offered.streams[0].codecs;
    of_client.retain(|codec| codec.name == "opus");
    let (_, invite) = bench.call_to_sip(Some(offered));
    let sdp = String::from_utf8_lossy(&invite.body).into_owned();
    assert!(sdp.contains("PCMU") && !sdp.contains("opus"), "{sdp}");
    let answer = bench.facts().into_iter().find_map(|fact| {
        let Fact::Describe(describe) = fact else {
            return None;
        };
        Some(describe.description)
    });
    let answer = answer.expect("the client has an answer");
    assert_eq!(answer.streams[0].codecs[0].name, "opus");
}

/// A bench whose trunks are changed.
fn of_trunk(change: impl Fn(&mut Trunk)) -> Bench {
    let mut settings = settings();
    let trunks = settings.trunks.iter().map(|(_, trunk)| {
        let mut trunk = trunk.clone();
        change(&mut trunk);
        trunk
    });
    settings.trunks = Arc::new(Trunks::new(trunks.collect()));
    Bench::with(settings)
}

#[test]
fn early_sound_connects_unless_it_is_to_be_ignored() {
    for early_media in [true, false] {
        let mut bench = of_trunk(|trunk| trunk.media.early_media = early_media);
        bench.fact(offer(None));
        bench.open_media();
        let (invite, _) = bench.request();
        bench.respond(&invite, 183, PCMU);
        let early = Ready::default();
        let facts = bench.facts();
        assert_eq!(
            facts.contains(&Fact::Ready(early)),
            early_media,
            "{facts:?}"
        );
        assert_eq!(sip_flow(&bench.commands()).is_some(), early_media);
        bench.respond(&invite, 200, PCMU);
        let ready = Fact::Ready(Ready {
            answered: true,
            device: None,
        });
        assert_eq!(bench.facts().contains(&ready), !early_media);
    }
}

#[test]
fn who_gives_up_cancels_and_leaves_nothing() {
    let mut bench = Bench::new();
    bench.fact(offer(None));
    bench.open_media();
    let (invite, _) = bench.request();
    bench.respond(&invite, 180, "");
    bench.fact(Fact::End(End::new(EndReason::Cancelled)));
    let (cancel, _) = bench.request();
    assert_eq!(cancel.method, Method::Cancel);
    bench.respond(&cancel, 200, "");
    bench.respond(&invite, 487, "");
    assert_eq!(
        bench.facts(),
        [Fact::Ringing],
        "the component knows already"
    );
    assert!(bench.is_empty());
}

#[test]
fn refusals_end_the_call_with_their_reason() {
    for (code, reason) in [
        (404, EndReason::NotFound),
        (408, EndReason::NoAnswer),
        (480, EndReason::NoAnswer),
        (486, EndReason::Busy),
        (488, EndReason::UnsupportedMedia),
        (503, EndReason::Connectivity),
        (603, EndReason::Declined),
    ] {
        let mut bench = Bench::new();
        bench.fact(offer(None));
        let anchor = bench.open_media();
        let (invite, _) = bench.request();
        bench.respond(&invite, code, "");
        assert_eq!(end_of(&bench.facts()), Some(reason), "{code}");
        assert_eq!(bench.commands(), [Command::Release { anchor }]);
        assert!(bench.is_empty(), "{code}");
    }
}

#[test]
fn a_phone_that_rings_for_ever_is_given_up() {
    let mut bench = Bench::new();
    bench.fact(offer(None));
    bench.open_media();
    let (invite, _) = bench.request();
    bench.respond(&invite, 180, "");
    bench.pass(121);
    assert_eq!(end_of(&bench.facts()), Some(EndReason::NoAnswer));
    let methods: Vec<_> = bench
        .requests()
        .iter()
        .map(|(r, _)| r.method.clone())
        .collect();
    assert_eq!(methods, [Method::Cancel]);
}

#[test]
fn what_may_not_be_called_is_refused_at_once() {
    let to = |user: &str, host: &str| {
        let Fact::Offer(mut offer) = offer(None) else {
            panic!("an offer");
        };
        offer.to = address(user, host);
        Fact::Offer(offer)
    };
    for (fact, reason) in [
        (to("112", "sip.example.com"), EndReason::Emergency),
        (to("x", "nowhere.example"), EndReason::NotFound),
        (to("juliet", "example.com"), EndReason::Looped),
    ] {
        let mut bench = Bench::new();
        bench.fact(fact);
        assert_eq!(end_of(&bench.facts()), Some(reason));
        assert!(bench.requests().is_empty() && bench.commands().is_empty());
    }
}

#[test]
fn a_phone_calls_and_a_device_answers() {
    let mut bench = Bench::new();
    let anchor = bench.call_from_sip(PCMU);
    let facts = bench.facts();
    let [Fact::Offer(offer)] = facts.as_slice() else {
        panic!("{facts:?}");
    };
    assert_eq!(offer.name.as_deref(), Some("Romeo"));
    assert_eq!(offer.to, address("juliet", "example.com"));
    assert_eq!(offer.hops, 69);
    // The component names the call as it was told.
    let call = bench.called.clone();
    for fact in [
        Fact::Ringing,
        Fact::Ready(Ready {
            answered: true,
            device: None,
        }),
    ] {
        bench.fact_of(&call, fact);
    }
    assert_eq!(bench.codes(), [180]);
    let facts = bench.facts();
    let [Fact::Describe(described)] = facts.as_slice() else {
        panic!("{facts:?}");
    };
    assert_eq!(described.role, Role::Offer);
    assert_eq!(described.description.streams[0].codecs[0].name, "PCMU");
    bench.fact_of(
        &call,
        answered(Role::Answer, description("y", Setup::Active)),
    );
    let responses = bench.responses();
    let ok = responses.iter().find(|r| r.status == Status::OK).unwrap();
    let said = Sdp::parse(&ok.body).unwrap();
    assert_eq!(
        (said.media[0].port, said.media[0].codecs[0].name.as_str()),
        (20_000, "PCMU")
    );
    let commands = bench.commands();
    assert!(sip_flow(&commands).is_some());
    bench.fact_of(&call, Fact::End(End::new(EndReason::Success)));
    bench.pass(40);
    // Without its ACK the 2xx is repeated until the call is given up with a BYE.
    let methods: Vec<_> = bench
        .requests()
        .iter()
        .map(|(r, _)| r.method.clone())
        .collect();
    assert_eq!(methods, [Method::Bye]);
    assert_eq!(bench.commands(), [Command::Release { anchor }]);
}

#[test]
fn a_device_that_refuses_refuses_the_invite() {
    for (reason, code) in [
        (EndReason::Busy, 486),
        (EndReason::Declined, 603),
        (EndReason::NoAnswer, 480),
        (EndReason::Unreachable, 480),
        (EndReason::NotFound, 404),
        (EndReason::Security, 488),
    ] {
        let mut bench = Bench::new();
        bench.call_from_sip(PCMU);
        bench.facts();
        let call = bench.called.clone();
        bench.fact_of(&call, Fact::End(End::new(reason)));
        assert_eq!(bench.codes().last(), Some(&code), "{reason:?}");
        assert!(bench.is_empty(), "{reason:?}");
    }
}

#[test]
fn an_offer_without_a_known_codec_is_refused() {
    let mut bench = Bench::new();
    let odd = PCMU.replace("RTP/AVP 0 101", "RTP/AVP 18 101");
    bench.packet(PEER, &invite("b", &odd));
    let responses = bench.responses();
    let refusal = responses.last().unwrap();
    assert_eq!(refusal.status, Status::NOT_ACCEPTABLE_HERE);
    assert!(refusal.headers.get("Warning").unwrap().starts_with("305 "));
    assert!(
        bench
            .facts()
            .iter()
            .all(|fact| matches!(fact, Fact::End(_)))
    );
}

#[test]
fn media_that_fails_ends_both_legs() {
    for (failure, reason) in [
        (Failure::Ice, EndReason::Connectivity),
        (Failure::Fingerprint, EndReason::Security),
        (Failure::Silent, EndReason::Connectivity),
    ] {
        let mut bench = Bench::new();
        let (anchor, _) = bench.call_to_sip(Some(description("x", Setup::Actpass)));
        bench.facts();
        bench.requests();
        let leg = Leg::Xmpp;
        bench.media(Event::Failed {
            anchor,
            leg,
            failure,
        });
        assert_eq!(end_of(&bench.facts()), Some(reason));
        let (bye, _) = bench.request();
        assert_eq!(bye.method, Method::Bye);
        bench.media(Event::Released {
            anchor,
            report: Box::new(Report::default()),
        });
        bench.respond(&bye, 200, "");
        assert!(bench.is_empty());
    }
}

#[test]
fn the_user_holds_and_resumes() {
    let mut bench = Bench::new();
    bench.call_to_sip(Some(description("x", Setup::Actpass)));
    bench.requests();
    for (held, word) in [(true, "a=sendonly"), (false, "a=sendrecv")] {
        bench.fact(Fact::Hold(held));
        let (reinvite, _) = bench.request();
        let said = String::from_utf8_lossy(&reinvite.body).into_owned();
        let is_usual = word == "a=sendrecv" && !said.contains("a=sendonly");
        assert!(said.contains(word) || is_usual, "{said}");
        let answer = match held {
            true => PCMU.to_owned() + "a=recvonly\r\n",
            false => PCMU.to_owned(),
        };
        bench.respond(&reinvite, 200, &answer);
        bench.requests();
    }
}

#[test]
fn a_key_goes_as_an_event_or_as_info() {
    let mut bench = Bench::new();
    bench.call_to_sip(Some(description("x", Setup::Actpass)));
    bench.requests();
    bench.commands();
    let pressed = Dtmf {
        key: '5',
        milliseconds: 200,
    };
    bench.fact(Fact::Dtmf(pressed.clone()));
    let commands = bench.commands();
    assert!(matches!(
        commands.as_slice(),
        [Command::Dtmf {
            key: '5',
            leg: Leg::Sip,
            ..
        }]
    ));
    // A phone without telephone events hears it by INFO.
    let mut bench = Bench::new();
    bench.fact(offer(Some(description("x", Setup::Actpass))));
    bench.open_media();
    let (invite, _) = bench.request();
    let plain = PCMU
        .replace(" 101", "")
        .replace("a=rtpmap:101 telephone-event/8000\r\n", "");
    bench.respond(&invite, 200, &plain);
    bench.requests();
    bench.fact(Fact::Dtmf(pressed));
    let (info, _) = bench.request();
    assert_eq!(info.method, Method::Info);
    assert!(info.body.starts_with(b"Signal=5\r\n"));
}

#[test]
fn a_trunk_hears_keys_as_it_wants_to() {
    use crate::call::negotiate::Keys;
    let plain = PCMU
        .replace(" 101", "")
        .replace("a=rtpmap:101 telephone-event/8000\r\n", "");
    for (keys, answer, by_event, by_info) in [
        (Keys::Auto, PCMU, true, false),
        (Keys::Auto, &plain, false, true),
        (Keys::Rfc4733, PCMU, true, false),
        (Keys::Rfc4733, &plain, false, false),
        (Keys::Info, PCMU, false, true),
    ] {
        let mut bench = of_trunk(|trunk| trunk.media.keys = keys);
        bench.fact(offer(Some(description("x", Setup::Actpass))));
        bench.open_media();
        let (invite, _) = bench.request();
        let offered = String::from_utf8_lossy(&invite.body).contains("telephone-event");
        assert_eq!(offered, keys != Keys::Info);
        bench.respond(&invite, 200, answer);
        bench.requests();
        bench.commands();
        let pressed = Dtmf {
            key: '5',
            milliseconds: 200,
        };
        bench.fact(Fact::Dtmf(pressed));
        let event = |it: &Command| matches!(it, Command::Dtmf { leg: Leg::Sip, .. });
        let told = |bench: &mut Bench| {
            let requests = bench.requests();
            requests.iter().any(|(it, _)| it.method == Method::Info)
        };
        assert_eq!(bench.commands().iter().any(event), by_event, "{keys:?}");
        assert_eq!(told(&mut bench), by_info, "{keys:?}");
    }
}

#[test]
fn a_component_that_dies_takes_its_calls_with_it() {
    let mut bench = Bench::new();
    let (anchor, _) = bench.call_to_sip(Some(description("x", Setup::Actpass)));
    bench.requests();
    bench.commands();
    bench
        .core
        .handle_bus(tandem_shared::bus::Incoming::Disconnected, bench.now);
    bench.pass(0);
    let (bye, _) = bench.request();
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(bench.commands(), [Command::Release { anchor }]);
}

#[test]
fn no_ports_no_call() {
    let mut bench = Bench::new();
    bench.fact(offer(None));
    let commands = bench.commands();
    let [Command::Open { anchor, .. }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    bench.media(Event::NotOpened { anchor: *anchor });
    assert_eq!(end_of(&bench.facts()), Some(EndReason::ResourceConstraint));
    assert!(bench.commands().is_empty() && bench.requests().is_empty());
}

#[test]
fn somebody_else_picks_up_a_call_that_rings() {
    for direct in [true, false] {
        let mut bench = Bench::new();
        bench.fact(offer(direct.then(|| description("x", Setup::Actpass))));
        bench.open_media();
        let (ours, _) = bench.request();
        bench.respond(&ours, 180, "");
        bench.facts();
        bench.packet(PEER, &replacing("r", &ours, PCMU, ";early-only"));
        let responses = bench.responses();
        let ok = responses.last().unwrap();
        assert_eq!(ok.status, Status::OK, "{responses:?}");
        let said = Sdp::parse(&ok.body).unwrap();
        assert_eq!(said.media[0].codecs[0].name, "PCMU");
        assert!(sip_flow(&bench.commands()).is_some());
        let facts = bench.facts();
        assert!(
            matches!(
                facts.first(),
                Some(Fact::Ready(Ready { answered: true, .. }))
            ),
            "{facts:?}"
        );
        assert_eq!(facts.len() == 2, direct, "{facts:?}");
        // Who rang until now is told to stop, and its end is nobody's.
        let (cancel, _) = bench.request();
        assert_eq!(cancel.method, Method::Cancel);
        bench.respond(&cancel, 200, "");
        bench.respond(&ours, 487, "");
        assert!(bench.facts().is_empty());
        assert_eq!(bench.core.calls().0, 1);
    }
}

#[test]
fn who_cannot_take_a_call_over_leaves_it_as_it_is() {
    let mut bench = Bench::new();
    bench.fact(offer(None));
    bench.open_media();
    let (ours, _) = bench.request();
    bench.respond(&ours, 180, "");
    let odd = PCMU.replace("RTP/AVP 0 101", "RTP/AVP 18 101");
    for (branch, body, status) in [("a", odd.as_str(), 488), ("b", "rubbish", 400)] {
        bench.packet(PEER, &replacing(branch, &ours, body, ""));
        assert_eq!(bench.codes(), [status]);
    }
    bench.respond(&ours, 200, PCMU);
    bench.requests();
    bench.facts();
    bench.commands();
    for (branch, body, more, status) in [
        ("c", odd.as_str(), "", 488),
        ("d", "rubbish", "", 400),
        ("e", PCMU, ";early-only", 486),
        ("f", PCMU, "x", 481),
    ] {
        bench.packet(PEER, &replacing(branch, &ours, body, more));
        assert_eq!(bench.codes(), [status]);
    }
    assert!(bench.facts().is_empty() && bench.commands().is_empty());
    assert_eq!(bench.core.calls().0, 1);
}

#[test]
fn a_caller_that_waits_no_longer_is_told_so() {
    for (expires, after, code) in [
        ("30", 30, 487),
        ("9999999999", 120, 480),
        ("soon", 120, 480),
    ] {
        let mut bench = Bench::new();
        let invite = String::from_utf8(invite("x", PCMU)).unwrap();
        let invite = invite.replacen("Contact", &format!("Expires: {expires}\r\nContact"), 1);
        bench.packet(PEER, invite.as_bytes());
        bench.open_media();
        bench.facts();
        let call = bench.called.clone();
        bench.fact_of(&call, Fact::Ringing);
        bench.pass(after - 1);
        assert!(bench.facts().is_empty(), "{expires}");
        bench.responses();
        bench.pass(1);
        assert_eq!(bench.codes().last(), Some(&code), "{expires}");
        assert_eq!(end_of(&bench.facts()), Some(EndReason::NoAnswer));
        assert!(bench.is_empty(), "{expires}");
    }
}

#[test]
fn an_offer_may_stand_among_other_parts() {
    let mut bench = Bench::new();
    let body = format!(
        "--b\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n--b\r\n\
         Content-Type: application/sdp\r\n\r\n{PCMU}\r\n--b--\r\n"
    );
    let text = String::from_utf8(invite("m", &body)).unwrap();
    let text = text.replace(
        "Content-Type: application/sdp\r\nContent-Length",
        "Content-Type: multipart/mixed;boundary=b\r\nContent-Length",
    );
    bench.packet(PEER, text.as_bytes());
    bench.open_media();
    assert!(matches!(bench.facts().as_slice(), [Fact::Offer(_)]));
}

#[test]
fn a_peer_of_the_other_family_is_told_an_address_it_can_reach() {
    let mut settings = settings();
    let there = crate::sip::uri::HostPort::parse("[2001:db8::1]:5060").unwrap();
    settings.endpoint.sent_by_other = Some(crate::sip::endpoint::SentBy {
        udp: there.clone(),
        tcp: there.clone(),
        tls: there.clone(),
        ws: there.clone(),
        wss: there,
    });
    for (hop, wanted) in [
        ("[2001:db8::2]:5070", "[2001:db8::1]:5060"),
        (PEER, "198.51.100.1:5060"),
    ] {
        let mut settings = settings.clone();
        let mut pbx = crate::trunk::tests::trunk("pbx", &["*@pbx.example.net"], Some(hop));
        pbx.inbound = vec!["2001:db8::/32".parse().unwrap()];
        settings.trunks = Arc::new(Trunks::new(vec![pbx]));
        let mut bench = Bench::with(settings);
        bench.fact(offer(None));
        bench.open_media();
        let (invite, _) = bench.request();
        for name in ["Via", "Contact"] {
            let value = invite.headers.get(name).unwrap();
            assert!(value.contains(wanted), "{name}: {value}");
        }
    }
}
