//! Asking the registrar: which way, with what, and once more with a password.

use super::pause;
use super::{Context, MARK, Registrations, Stage, reply, request};
use crate::contact;
use crate::sip::digest::Rounds;
use crate::sip::endpoint::ClientToken;
use crate::sip::{Hop, Request, Response};
use crate::trunk::{FlowId, Guide, PATIENCE, Registered, Step, Ways};

impl Registrations {
    /// Tries all ways from the beginning.
    pub(super) fn start(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        self.timers.cancel(&id);
        if row.stage == Stage::Waiting {
            row.stage = Stage::Resting;
            cx.states.set_registered(id, Registered::Trying);
        }
        // Where it is registered it stays, as long as that works.
        if !row.held {
            row.hop = None;
        }
        row.ways = Ways::by(id.trunk);
        row.rounds = Rounds::default();
        row.raised = false;
        row.trouble = None;
        if row.hop.is_some() {
            return self.send(id, cx);
        }
        self.go_on(id, cx);
    }

    /// Tries the next way; no two flows lead to one server.
    pub(super) fn go_on(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let taken = self.taken(id);
        let (Some(row), Some(trunk)) = (self.rows.get_mut(&id), cx.settings.trunks.get(id.trunk))
        else {
            return;
        };
        let mut guide = Guide::new(cx.settings, cx.states, cx.dns, cx.mint, cx.now);
        let contact = request::registrar(trunk);
        let mut step = row.ways.step(&contact, &mut guide);
        while matches!(&step, Step::Go(_, hop) if taken.contains(&hop.host)) {
            row.ways.pass();
            step = row.ways.step(&contact, &mut guide);
        }
        match step {
            Step::Go(_, hop) => {
                row.hop = Some(hop);
                row.rounds = Rounds::default();
                self.send(id, cx);
            }
            Step::Wait => row.stage = Stage::Locating,
            Step::End => {
                let why = match (row.ways.shut(), row.trouble) {
                    (Some(shut), _) => pause::words(shut),
                    (None, _) if taken.is_empty() => "The registrar has no address.",
                    (None, trouble) => {
                        trouble.unwrap_or("There is no further server behind the name.")
                    }
                };
                self.fail(id, why, None, cx);
            }
        }
    }

    pub(super) fn send(&mut self, id: FlowId, cx: &mut Context<'_>) {
        let (Some(row), Some(trunk)) = (self.rows.get_mut(&id), cx.settings.trunks.get(id.trunk))
        else {
            return;
        };
        let Some(hop) = row.hop.clone() else {
            return;
        };
        row.cseq += 1;
        let seen = cx.states.flow(id).and_then(|flow| flow.seen);
        let config = &cx.settings.endpoint;
        let way = (hop.transport, hop.host.ip());
        let contact = contact::uri(&trunk.line, way, seen, config);
        let mut request = request::compose((id, trunk), row, &contact, cx.settings, cx.key);
        row.contact = Some(contact);
        if let Some(account) = cx.accounts.get_mut(&id.trunk) {
            account.authorize(&mut request, cx.mint);
        }
        self.transmit(id, request, hop, cx);
    }

    pub(super) fn transmit(
        &mut self,
        id: FlowId,
        request: Request,
        hop: Hop,
        cx: &mut Context<'_>,
    ) {
        self.tokens += 1;
        let token = ClientToken(MARK | self.tokens);
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.connection = None;
        row.sent = Some(request.clone());
        match cx.endpoint.request(token, request, hop, cx.now) {
            Ok(()) => {
                row.stage = match self.closed || row.expires == 0 {
                    true => Stage::Leaving(token),
                    false => Stage::Asking(token),
                };
                if row.ways.has_more() {
                    self.patience.set(id, cx.now + PATIENCE);
                }
            }
            Err(_) => self.fail(id, "Too many requests are open.", None, cx),
        }
    }

    pub(super) fn answer(&mut self, id: FlowId, response: &Response, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let (Some(account), Some(mut request)) = (cx.accounts.get_mut(&id.trunk), row.sent.take())
        else {
            return self.give_in(id, "The registrar wants a password, and there is none.", cx);
        };
        match account.answer(response, &mut request, &mut row.rounds, cx.mint) {
            Ok(()) => {
                row.cseq += 1;
                request::renumber(&mut request, row.cseq);
                let hop = row.hop.clone();
                if let Some(hop) = hop {
                    self.transmit(id, request, hop, cx);
                }
            }
            Err(denied) => {
                let why = format!("{} ({denied})", reply::words(response));
                self.give_in(id, &why, cx);
            }
        }
    }
}
