//! MESSAGE requests as messages (RFC 7572 §5; RFC 7247 §6; specs 1.1, 1.3, 2.1).

use tandem_shared::address::Address;
use tandem_shared::message::{Message, MessageId, Ordinal};
use tandem_shared::refusal::Refusal;

use super::thread::Threads;
use crate::body;
use crate::clock::{self, Now};
use crate::fingerprint::Fingerprint;
use crate::party;
use crate::settings::Settings;
use crate::sip::Request;
use crate::sip::endpoint::Source;
use crate::sip::grammar;
use crate::sip::header::Name;

/// What a request amounts to.
#[derive(Debug, PartialEq, Eq)]
pub enum Translated {
    /// A message to deliver.
    Message(Box<Message>),
    /// The same message to each of those who share the number it is for, by an id of its own.
    Shared(Vec<Message>),
    /// Nothing to deliver, and nothing wrong: no text, or its time is over (RFC 3428 §4).
    Nothing,
}

/// What `request`, which came from `source`, says.
///
/// # Errors
/// The refusal its sender hears.
pub fn from_sip(
    request: &Request,
    source: Source,
    print: Fingerprint,
    settings: &Settings,
    threads: &Threads,
    now: Now,
) -> Result<Translated, Refusal> {
    let Some((_, trunk)) = settings.trunks.of(request, source) else {
        return Err(party::stranger());
    };
    let mut users = party::recipients(request, Some(trunk), settings)?;
    let from = party::sender(request, Some(trunk), settings)?;
    let headers = &request.headers;
    let Some(body) = body::read(headers, &request.body)? else {
        return Ok(Translated::Nothing);
    };
    let date = headers.get(Name::Date).and_then(clock::from_date);
    let seconds = headers.get(Name::Expires).and_then(grammar::parse_number);
    if let (Some(date), Some(seconds)) = (date, seconds)
        && i64::try_from(seconds)
            .is_ok_and(|seconds| date.saturating_add(seconds.saturating_mul(1000)) < now.unix_ms())
    {
        return Ok(Translated::Nothing);
    }
    let thread = threads.of(request.call_id()).map(str::to_owned);
    let message = |id: MessageId, to: Address| Message {
        id,
        from: from.clone(),
        to,
        body: body.clone(),
        subject: headers
            .get(Name::Subject)
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        lang: language(headers.get(Name::ContentLanguage)),
        thread: thread.clone(),
        wire_id: None,
        replaces: None,
        sent: date.filter(|date| date.saturating_add(DELAY_MS) < now.unix_ms()),
        hops: request
            .max_forwards()
            .unwrap_or(Message::HOPS)
            .saturating_sub(1),
        ordinal: Ordinal::default(),
    };
    Ok(match (users.pop(), users.is_empty()) {
        (Some(only), true) => Translated::Message(Box::new(message(print.message_id(), only))),
        (last, _) => {
            let users = users.into_iter().chain(last);
            let each = users.map(|user| message(print.share_id(&user), user));
            Translated::Shared(each.collect())
        }
    })
}

fn language(header: Option<&str>) -> Option<String> {
    let first = header?.split(',').next()?.trim();
    let valid = first
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (valid && (1..=35).contains(&first.len())).then(|| first.to_owned())
}

/// A message older than this is shown with its own time.
const DELAY_MS: i64 = 10_000;

#[cfg(test)]
mod tests;
