//! The peer as client: one request at a time in each conversation, repeated until Timer F
//! (RFC 3261 §17.1.2).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::stage::{Happening, Stage};
use crate::model::{self, CONTACTS, USERS};
use crate::sip::Message;

/// A contact and a user.
type Conversation = (usize, usize);

/// The requests of all conversations.
#[derive(Debug, Default)]
pub(super) struct Asking {
    open: BTreeMap<u32, Call>,
    waiting: BTreeMap<Conversation, VecDeque<u32>>,
    /// The final status each request had.
    finals: BTreeMap<u32, u16>,
}

#[derive(Debug)]
struct Call {
    conversation: Conversation,
    bytes: Vec<u8>,
    since: Duration,
    pause: Duration,
}

impl Asking {
    pub(super) fn write(&mut self, number: u32, stage: &mut Stage) {
        // The user beyond the last one does not exist.
        let conversation = (stage.random.below(CONTACTS), stage.random.below(USERS + 1));
        stage.ledger.ask(number, conversation, stage.now);
        let queue = self.waiting.entry(conversation).or_default();
        queue.push_back(number);
        if queue.len() == 1 {
            self.send(number, conversation, stage);
        }
    }

    pub(super) fn handle_timer(&mut self, number: u32, stage: &mut Stage) {
        let Some(call) = self.open.get_mut(&number) else {
            return;
        };
        if stage.now >= call.since + TIMER_F {
            stage.note(&format!("y{number} is never answered"));
            stage.ledger.give_up(number);
            return self.finish(number, stage);
        }
        call.pause = (call.pause * 2).min(T2);
        let bytes = call.bytes.clone();
        let next = (stage.now + call.pause).min(call.since + TIMER_F);
        stage.at(next, Happening::PeerTimer(number));
        stage.datagram(&bytes, Happening::ToB2bua);
    }

    pub(super) fn handle_response(&mut self, response: &Message, status: u16, stage: &mut Stage) {
        let call_id = response.header("Call-ID");
        let number = call_id
            .strip_prefix("call-")
            .and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|_| status >= 200) else {
            return;
        };
        match self.finals.get(&number) {
            Some(known) if *known != status => {
                stage
                    .ledger
                    .accuse(format!("y{number} was answered {known}, then {status}"));
            }
            Some(_) => {}
            None => {
                if self.open.contains_key(&number) {
                    stage.note(&format!("y{number} is answered {status}"));
                    stage.ledger.answer(number, status, stage.now);
                    self.finals.insert(number, status);
                    self.finish(number, stage);
                }
            }
        }
    }

    fn finish(&mut self, number: u32, stage: &mut Stage) {
        let Some(call) = self.open.remove(&number) else {
            return;
        };
        let queue = self.waiting.entry(call.conversation).or_default();
        queue.pop_front();
        if let Some(next) = queue.front().copied() {
            self.send(next, call.conversation, stage);
        }
    }

    fn send(&mut self, number: u32, conversation: Conversation, stage: &mut Stage) {
        let (contact, user) = conversation;
        let user = match user {
            USERS => "ghost".to_owned(),
            user => format!("u{user}"),
        };
        let device = match stage.random.below(8) {
            0 => ";gr=gone",
            1 => ";gr=phone",
            _ => "",
        };
        let body = model::from_sip(number);
        let uri = format!("sip:{user}%40example.com@sip.example.com");
        let text = format!(
            "MESSAGE {uri}{device} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpeer{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+1555000{contact}@192.0.2.1>;tag=t{number}\r\nTo: <{uri}>\r\n\
             Call-ID: call-{number}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stage.note(&format!("contact {contact} sends {body} to {user}{device}"));
        let call = Call {
            conversation,
            bytes: text.into_bytes(),
            since: stage.now,
            pause: T1,
        };
        stage.at(stage.now + T1, Happening::PeerTimer(number));
        stage.datagram(&call.bytes, Happening::ToB2bua);
        self.open.insert(number, call);
    }
}

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const TIMER_F: Duration = Duration::from_secs(32);
