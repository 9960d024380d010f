//! A SIP user agent of the tests: sends and receives whatever a test wants, right or wrong.
//!
//! It shares no code with the product: its own reader cuts messages out of the wire, and
//! [`Message::reparse`] asks the crate `rsip` for a second opinion where that crate can read them.
//!
//! Invariant: nothing is answered unless the test answers it.

mod dialog;
mod draft;
mod message;
mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::wait::{self, GENEROUS};
pub use dialog::{Called, Calling, Dialog};
pub use draft::Draft;
pub use message::Message;
use wire::Wire;
pub use wire::{Path, Received};

/// An agent bound to one address, on UDP and TCP.
#[derive(Debug)]
pub struct Agent {
    wire: Wire,
}

impl Agent {
    /// Binds UDP and TCP `address` (port 0: any).
    pub fn bind(address: &str) -> Result<Self> {
        Ok(Self {
            wire: Wire::bind(address).with_context(|| format!("binding {address}"))?,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.wire.address()
    }

    /// The path to `destination` over UDP.
    pub fn udp_to(&self, destination: &str) -> Result<Path> {
        self.wire.udp_to(destination.parse()?)
    }

    /// A new TCP connection to `destination`.
    pub fn tcp_to(&self, destination: &str) -> Result<Path> {
        self.wire.tcp_to(destination.parse()?)
    }

    /// Sends `draft` over `path`, repeats it on UDP as RFC 3261 §17.1.2 wants, and waits for the
    /// final response.
    pub fn ask(&self, draft: &Draft, path: &Path) -> Result<Message> {
        let request = draft.to_bytes(path);
        let call_id = draft.call_id().to_owned();
        let start = Instant::now();
        let mut interval = Duration::from_millis(500);
        let mut due = Duration::ZERO;
        let mut answered = false;
        wait::until(
            &format!("a final response to {} {}", draft.method(), draft.uri()),
            ANSWER_LIMIT,
            || {
                if !answered && start.elapsed() >= due && (path.is_udp() || due.is_zero()) {
                    path.send(&request)?;
                    due += interval;
                    interval = (interval * 2).min(Duration::from_secs(4));
                }
                let Some(response) = self.take(|message| {
                    message.status().is_some() && message.header("Call-ID") == call_id
                }) else {
                    return Ok(None);
                };
                answered = true;
                Ok(response
                    .message
                    .status()
                    .is_some_and(|status| status >= 200)
                    .then_some(response.message))
            },
        )
    }

    /// Waits for a request with `method`.
    pub fn expect_request(&self, method: &str) -> Result<Received> {
        self.expect(&format!("a {method} request"), |message| {
            message.method() == Some(method)
        })
    }

    /// Waits for a MESSAGE with this body.
    pub fn expect_body(&self, body: &str) -> Result<Received> {
        self.expect(&format!("a MESSAGE saying {body:?}"), |message| {
            message.method() == Some("MESSAGE") && message.text() == body
        })
    }

    /// Waits for a response with this status.
    pub fn expect_status(&self, status: u16) -> Result<Received> {
        self.expect(&format!("a {status} response"), |message| {
            message.status() == Some(status)
        })
    }

    /// Waits for a message that satisfies `condition`; those passed over stay.
    pub fn expect(&self, what: &str, condition: impl Fn(&Message) -> bool) -> Result<Received> {
        self.expect_within(GENEROUS, what, condition)
    }

    /// As [`Self::expect`], with another limit.
    pub fn expect_within(
        &self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&Message) -> bool,
    ) -> Result<Received> {
        wait::until(what, limit, || Ok(self.take(&condition))).map_err(|error| {
            let waiting: Vec<String> = self
                .wire
                .waiting()
                .iter()
                .map(ToString::to_string)
                .collect();
            error.context(format!(
                "{} has received:\n{}",
                self.address(),
                waiting.join("\n--\n")
            ))
        })
    }

    /// An error if a message that satisfies `condition` has come by now.
    pub fn expect_none(&self, what: &str, condition: impl Fn(&Message) -> bool) -> Result<()> {
        match self.take(condition) {
            Some(received) => bail!("unwanted {what}:\n{}", received.message),
            None => Ok(()),
        }
    }

    /// Takes the first message that satisfies `condition` and came by now.
    pub fn take(&self, condition: impl Fn(&Message) -> bool) -> Option<Received> {
        self.wire.take(condition)
    }
}

/// Timer F (RFC 3261 §17.1.2.2), after which a client gives up.
const ANSWER_LIMIT: Duration = Duration::from_secs(32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_agents_talk_over_udp_and_tcp() {
        let (here, there) = (
            Agent::bind("127.0.0.1:0").unwrap(),
            Agent::bind("127.0.0.1:0").unwrap(),
        );
        let address = there.address().to_string();
        for path in [
            here.udp_to(&address).unwrap(),
            here.tcp_to(&address).unwrap(),
        ] {
            let draft = Draft::message("sip:b@there.test", "sip:a@here.test", "hä");
            path.send(draft.render(&path).as_bytes()).unwrap();
            let request = there.expect_body("hä").unwrap();
            request.message.reparse().unwrap();
            request
                .reply_with(480, "Gone", &[("Retry-After", "5")])
                .unwrap();
            let response = here.expect_status(480).unwrap().message;
            assert_eq!(response.header("Retry-After"), "5");
            assert_eq!(response.header("call-id"), draft.call_id());
        }
    }

    #[test]
    fn asks_and_passes_provisional_responses_over() {
        let (here, there) = (
            Agent::bind("127.0.0.1:0").unwrap(),
            Agent::bind("127.0.0.1:0").unwrap(),
        );
        let path = here.udp_to(&there.address().to_string()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let request = there.expect_request("OPTIONS").unwrap();
                request.reply(100, "Trying").unwrap();
                request.reply(200, "OK").unwrap();
            });
            let response = here
                .ask(&Draft::new("OPTIONS", "sip:there.test"), &path)
                .unwrap();
            assert_eq!(response.status(), Some(200));
        });
    }
}
