//! What an XMPP user has got: the archive of the account (XEP-0313).
//!
//! Invariant: every copy the server took is listed once, in the order it took them, whether its
//! reader was there or not.

use anyhow::{Context, Result, ensure};

use crate::xmpp::{Session, Stanza, escape};

/// The texts of all messages in the archive of `session`'s account, oldest first, each with its sender.
pub fn read(session: &Session) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    let mut after = String::new();
    for page in 0..PAGES {
        let query = format!("archive-{page}");
        let behind = if after.is_empty() {
            String::new()
        } else {
            format!("<after>{}</after>", escape(&after))
        };
        let answer = session.ask(
            "set",
            session.bare(),
            &format!(
                "<query xmlns='{MAM}' queryid='{query}'><set xmlns='{RSM}'><max>50</max>{behind}</set></query>"
            ),
        )?;
        ensure!(answer.kind() == "result", "the archive: {}", answer.xml);
        let finish = answer
            .child("fin")
            .context("the archive did not say how far it got")?;
        // All results of a page come before its answer.
        while let Some(result) = session.take(|stanza| result_of(stanza, &query).is_some())? {
            let message = result_of(&result, &query)
                .and_then(|found| found.child("forwarded")?.child("message"));
            if let Some((message, body)) = message.and_then(|m| Some((m, m.body()?))) {
                texts.push((message.from().to_owned(), body.to_owned()));
            }
        }
        let last = finish.child("set").and_then(|set| set.child("last"));
        match last {
            Some(last) if finish.attribute("complete") != "true" => {
                last.text.clone_into(&mut after)
            }
            _ => return Ok(texts),
        }
    }
    anyhow::bail!("the archive has no end")
}

fn result_of<'a>(stanza: &'a Stanza, query: &str) -> Option<&'a Stanza> {
    stanza
        .child_in("result", MAM)
        .filter(|result| result.attribute("queryid") == query)
}

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const PAGES: usize = 200;
