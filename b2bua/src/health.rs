//! Whether trunks are there: an OPTIONS now and then (RFC 3261 §11; specs 10.3).
//!
//! Any answer is a sign of life but 408 and 503. Who misses two in a row is down: it is tried last
//! until it answers again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tandem_shared::address::Address;
use tandem_shared::mint::Mint;
use tandem_shared::timers::Timers;

use crate::dns::{Dns, PENALTY};
use crate::settings::Settings;
use crate::sip::endpoint::{ClientToken, Failure};
use crate::sip::header::Name;
use crate::sip::hop::NotSent;
use crate::sip::uri::{SipUri, Uri};
use crate::sip::{Endpoint, Hop, Method, Request, Response};
use crate::trunk::{Guide, Health, States, Step, Trunk, TrunkId, Ways};

/// What watches over all trunks.
#[derive(Debug, Default)]
pub struct Watch {
    rows: BTreeMap<TrunkId, Row>,
    timers: Timers<TrunkId>,
    tokens: u64,
    closed: bool,
}

/// What watching works with, lent by the core.
#[derive(Debug)]
pub struct Context<'a> {
    /// What sends requests.
    pub endpoint: &'a mut Endpoint,
    /// What was configured.
    pub settings: &'a Settings,
    /// Where names lead.
    pub dns: &'a mut Dns,
    /// How trunks are.
    pub states: &'a mut States,
    /// For what must not be guessed.
    pub mint: &'a mut Mint,
    /// The time.
    pub now: Instant,
}

#[derive(Debug, Default)]
struct Row {
    asked: Option<(ClientToken, Hop)>,
    locating: bool,
    /// Missed in a row.
    misses: u32,
}

impl Watch {
    /// Begins to ask every trunk that wants it.
    pub fn begin(&mut self, cx: &mut Context<'_>) {
        let trunks = cx.settings.trunks.iter();
        let wanted =
            trunks.filter(|(_, trunk)| trunk.keepalive.is_some() && trunk.next_hop.is_some());
        for (id, _) in wanted {
            self.rows.insert(id, Row::default());
            // Not all at the same moment.
            let soon = u64::try_from(cx.mint.number() % 1000).unwrap_or_default();
            self.timers.set(id, cx.now + Duration::from_millis(soon));
        }
    }

    /// A name server answered, or nobody did.
    pub fn handle_located(&mut self, cx: &mut Context<'_>) {
        let waiting = self.rows.iter().filter(|(_, row)| row.locating);
        let waiting: Vec<TrunkId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.ask(id, cx);
        }
    }

    /// A final response came.
    pub fn handle_response(
        &mut self,
        token: ClientToken,
        response: &Response,
        cx: &mut Context<'_>,
    ) {
        let code = response.status.code();
        if matches!(code, 408 | 503) {
            return self.miss(token, &format!("{code} {}", response.reason), cx);
        }
        let Some((id, hop)) = self.take(token) else {
            return;
        };
        cx.dns.pardon(id.whose(), &hop);
        if let Some(row) = self.rows.get_mut(&id) {
            row.misses = 0;
        }
        if cx.states.set_health(id, Health::Up) {
            tracing::info!(
                trunk = cx.settings.trunks.name(id),
                "the trunk answers again"
            );
        }
        self.plan(id, cx);
    }

    /// No final response will come.
    pub fn handle_failed(&mut self, token: ClientToken, failure: Failure, cx: &mut Context<'_>) {
        let why = match failure {
            Failure::Timeout | Failure::Lost => "It does not answer.",
            Failure::NotSent(NotSent::Tls) => "There is no secure connection with it.",
            Failure::NotSent(_) => "It cannot be reached.",
        };
        self.miss(token, why, cx);
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.timers.pop(cx.now) {
            if !self.closed {
                self.ask(id, cx);
            }
        }
    }

    /// When [`Watch::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Nobody is asked any more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    fn ask(&mut self, id: TrunkId, cx: &mut Context<'_>) {
        let (Some(row), Some(trunk)) = (self.rows.get_mut(&id), cx.settings.trunks.get(id)) else {
            return;
        };
        row.locating = false;
        let hop = match registered_at(id, cx) {
            Some(hop) => hop,
            None => {
                let nobody = Address {
                    user: String::new(),
                    host: String::new(),
                    device: None,
                };
                let mut guide = Guide::new(cx.settings, cx.states, cx.dns, cx.mint, cx.now);
                match Ways::by(id).step(&nobody, &mut guide) {
                    Step::Go(_, hop) => hop,
                    Step::Wait => {
                        row.locating = true;
                        return;
                    }
                    Step::End => return self.miss_row(id, "Its name has no address.", cx),
                }
            }
        };
        self.tokens += 1;
        let token = ClientToken(MARK | self.tokens);
        row.asked = Some((token, hop.clone()));
        let request = compose(trunk, &hop, cx.settings, cx.mint);
        if cx.endpoint.request(token, request, hop, cx.now).is_err() {
            row.asked = None;
            self.plan(id, cx);
        }
    }

    fn miss(&mut self, token: ClientToken, why: &str, cx: &mut Context<'_>) {
        if let Some((id, hop)) = self.take(token) {
            cx.dns.penalise(id.whose(), &hop, PENALTY, cx.now);
            self.miss_row(id, why, cx);
        }
    }

    fn miss_row(&mut self, id: TrunkId, why: &str, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.misses = row.misses.saturating_add(1);
        if row.misses < MISSES {
            self.timers.set(id, cx.now + AFTER_MISS);
            return;
        }
        let down = Health::Down {
            why: why.to_owned(),
        };
        if cx.states.set_health(id, down) {
            tracing::warn!(
                trunk = cx.settings.trunks.name(id),
                why,
                "the trunk is down"
            );
        }
        self.plan(id, cx);
    }

    fn plan(&mut self, id: TrunkId, cx: &Context<'_>) {
        let trunk = cx.settings.trunks.get(id);
        if let Some(pause) = trunk.and_then(|trunk| trunk.keepalive) {
            self.timers.set(id, cx.now + pause);
        }
    }

    fn take(&mut self, token: ClientToken) -> Option<(TrunkId, Hop)> {
        let mut rows = self.rows.iter_mut();
        rows.find_map(|(id, row)| {
            let (_, hop) = row.asked.take_if(|(open, _)| *open == token)?;
            Some((*id, hop))
        })
    }
}

/// Whether a request is one of ours.
#[must_use]
pub fn owns(token: ClientToken) -> bool {
    token.0 >> 61 == MARK >> 61
}

fn registered_at(id: TrunkId, cx: &Context<'_>) -> Option<Hop> {
    let failed = |hop: &&Hop| cx.dns.is_penalised(id.whose(), hop, cx.now);
    cx.states.registered_at(id).min_by_key(failed).cloned()
}

fn compose(trunk: &Trunk, hop: &Hop, settings: &Settings, mint: &mut Mint) -> Request {
    let next = trunk.next_hop.as_ref().map(|next| next.host.clone());
    let host = trunk.domain.clone().or(next).unwrap_or(hop.host.clone());
    let uri = Uri::Sip(SipUri::new(host));
    let to = format!("<{uri}>");
    let mut request = Request::new(Method::Options, uri);
    let headers = &mut request.headers;
    let own = &settings.mapping.domain;
    headers.push(Name::From, &format!("<sip:{own}>;tag={}", mint.token()));
    headers.push(Name::To, &to);
    headers.push(Name::CallId, &mint.token());
    headers.push(Name::CSeq, "1 OPTIONS");
    headers.push(Name::Accept, "application/sdp, text/plain");
    request
}

/// Marks our tokens among those of messages, registrations and sessions.
pub(crate) const MARK: u64 = 0b11 << 61;
/// Who misses so many in a row is down.
const MISSES: u32 = 2;
/// The pause after the first miss: it has taken its time already.
const AFTER_MISS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
