//! The peer as server: accepts, refuses, challenges, puts off, or says nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::stage::{Happening, Stage};
use crate::model;
use crate::sip::Message;

/// Requests by the branch of their Via, which makes a retransmission one.
#[derive(Debug, Default)]
pub(super) struct Answering {
    /// The response and when it is first sent; nothing for those that are never answered.
    known: BTreeMap<String, Option<(Duration, Vec<u8>)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Accept(u16),
    Refuse(u16),
    PutOff(u16),
    Challenge,
    /// Says nothing, having delivered it or not.
    Silent {
        delivers: bool,
    },
}

impl Answering {
    pub(super) fn handle_request(&mut self, request: &Message, stage: &mut Stage) {
        let branch = request.header("Via");
        let branch = branch.split("branch=").nth(1).unwrap_or_default();
        let branch = branch.split([';', ',']).next().unwrap_or_default();
        if let Some(known) = self.known.get(branch) {
            if let Some((at, bytes)) = known.as_ref().filter(|(at, _)| *at <= stage.now) {
                let _answered_before = at;
                stage.datagram(bytes, Happening::ToB2bua);
            }
            return;
        }
        let mood = mood(request, stage);
        let text = request.text();
        let what = request.method().unwrap_or_default();
        stage.note(&format!(
            "the peer gets {what} {text} and feels like {mood:?}"
        ));
        let delivers = matches!(mood, Mood::Accept(_) | Mood::Silent { delivers: true });
        if what == "MESSAGE" {
            stage.ledger.see(model::number(&text), stage.now);
            if delivers {
                stage.ledger.deliver(model::number(&text), stage.now);
            }
        }
        let response = respond(request, mood, stage.random.below(4) + 1);
        let at = stage.now + stage.random.up_to(THINKING);
        if let Some(bytes) = &response {
            stage.at(at, Happening::ToB2bua(bytes.clone()));
        }
        self.known
            .insert(branch.to_owned(), response.map(|bytes| (at, bytes)));
    }
}

fn mood(request: &Message, stage: &mut Stage) -> Mood {
    let kind = if stage.calm { 0 } else { stage.plan.unkind };
    if !stage.random.chance(kind) {
        return Mood::Accept(if stage.random.chance(500) { 200 } else { 202 });
    }
    let authorized = !request.header("Authorization").is_empty();
    let mood = stage.random.choose(&[
        (2, Mood::Refuse(404)),
        (1, Mood::Refuse(486)),
        (1, Mood::Refuse(603)),
        (1, Mood::Refuse(500)),
        (3, Mood::PutOff(480)),
        (1, Mood::PutOff(503)),
        (3, Mood::Challenge),
        (1, Mood::Silent { delivers: true }),
        (1, Mood::Silent { delivers: false }),
    ]);
    match mood {
        Some(Mood::Challenge) if authorized => Mood::Accept(200),
        None => Mood::Accept(200),
        Some(mood) => mood,
    }
}

fn respond(request: &Message, mood: Mood, seconds: usize) -> Option<Vec<u8>> {
    let (status, more) = match mood {
        Mood::Accept(status) | Mood::Refuse(status) => (status, String::new()),
        Mood::PutOff(status) => (status, format!("Retry-After: {seconds}\r\n")),
        Mood::Challenge => (
            401,
            "WWW-Authenticate: Digest realm=\"trunk\", nonce=\"n\", qop=\"auth\"\r\n".to_owned(),
        ),
        Mood::Silent { .. } => return None,
    };
    let mut text = format!("SIP/2.0 {status} Said The Peer\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let tag = if name == "To" { ";tag=peer" } else { "" };
        text.push_str(&format!("{name}: {}{tag}\r\n", request.header(name)));
    }
    Some(format!("{text}{more}Content-Length: 0\r\n\r\n").into_bytes())
}

/// How long the peer thinks.
const THINKING: Duration = Duration::from_millis(1500);
