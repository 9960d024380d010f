//! Calls of a client: placed, answered, ended, heard and counted. A call is named by its sid.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use crate::audio::{self, Heard, Sound};

/// Something that happened to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Event {
    /// `incoming`, `ringing`, `accepted`, `connected`, `hold`, `resumed`, `ended`, ...
    pub kind: String,
    /// Which call.
    pub sid: String,
    /// The other end.
    pub peer: String,
    /// Why it ended (XEP-0166), such as `success`.
    pub reason: String,
    /// The same in words.
    pub text: String,
}

/// Numbers of a call; those a client cannot tell are 0 or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// The state of ICE and DTLS together: `connected`, `failed`, ...
    pub connection: String,
    /// The codec it receives.
    pub receives: String,
    /// The codec it sends.
    pub sends: String,
    /// Packets it received.
    pub received: u64,
    /// Packets it missed; negative where more came than were expected.
    pub lost: i64,
    /// Packets it sent.
    pub sent: u64,
    /// Its selected candidate: `host`, `srflx`, `prflx`, `relay`.
    pub local: String,
    /// The other's.
    pub remote: String,
    /// The SRTP profile.
    pub protection: String,
    /// The version of DTLS as on the wire, where a client tells it: `FEFD` is 1.2, `FEFC` 1.3.
    pub dtls: String,
}

impl Client {
    /// Calls `to` at once, without a proposal, and returns the sid.
    pub fn call(&self, to: &str) -> Result<String> {
        self.initiate(to, None)
    }

    /// As [`Self::call`], and offers pictures besides; only a browser can.
    pub fn call_with_pictures(&self, to: &str) -> Result<String> {
        let answer = self.ask_client("call", json!({ "to": to, "video": true }))?;
        Ok(answer["sid"].as_str().context("no sid")?.to_owned())
    }

    /// Sends the session-initiate, with a sid of the caller's choice.
    pub(super) fn initiate(&self, to: &str, sid: Option<&str>) -> Result<String> {
        let answer = self.ask_client("call", json!({ "to": to, "sid": sid }))?;
        Ok(answer["sid"].as_str().context("no sid")?.to_owned())
    }

    /// Waits for a session-initiate, and returns it; it is acknowledged, but not answered.
    pub fn wait_incoming(&self) -> Result<Event> {
        self.wait_event("incoming", "")
    }

    /// Says that it rings.
    pub fn ring(&self, sid: &str) -> Result<()> {
        self.ask_client("ring", json!({ "sid": sid })).map(drop)
    }

    /// Answers.
    pub fn accept(&self, sid: &str) -> Result<()> {
        self.ask_client("accept", json!({ "sid": sid })).map(drop)
    }

    /// Ends the call in whatever state, with a reason of XEP-0166: `success`, `decline`, `cancel`, `busy`, ...
    pub fn end(&self, sid: &str, reason: &str) -> Result<()> {
        self.ask_client("end", json!({ "sid": sid, "reason": reason }))
            .map(drop)
    }

    /// Says that the other is on hold.
    pub fn hold(&self, sid: &str) -> Result<()> {
        self.ask_client("hold", json!({ "sid": sid })).map(drop)
    }

    /// Says that the other is no longer on hold.
    pub fn resume(&self, sid: &str) -> Result<()> {
        self.ask_client("resume", json!({ "sid": sid })).map(drop)
    }

    /// Presses keys, which go as telephone events (RFC 4733); only a browser can.
    pub fn press(&self, sid: &str, keys: &str) -> Result<()> {
        self.ask_client("press", json!({ "sid": sid, "keys": keys }))
            .map(drop)
    }

    /// Begins ICE anew; only a browser can, and only as initiator.
    pub fn restart_ice(&self, sid: &str) -> Result<()> {
        self.ask_client("restart", json!({ "sid": sid })).map(drop)
    }

    /// Waits until the other end rings.
    pub fn wait_ringing(&self, sid: &str) -> Result<()> {
        self.wait_event("ringing", sid).map(drop)
    }

    /// Waits until the other end has answered.
    pub fn wait_accepted(&self, sid: &str) -> Result<()> {
        self.wait_event("accepted", sid).map(drop)
    }

    /// Waits until media can flow.
    pub fn wait_connected(&self, sid: &str) -> Result<()> {
        self.wait_event("connected", sid).map(drop)
    }

    /// Waits until the other end ends the call, and returns the reason.
    pub fn wait_ended(&self, sid: &str) -> Result<String> {
        Ok(self.wait_event("ended", sid)?.reason)
    }

    /// Waits for an event of this kind, and takes it; an empty sid is any call's.
    pub fn wait_event(&self, kind: &str, sid: &str) -> Result<Event> {
        self.expect_event(&format!("{kind} of the call {sid:?}"), |record| {
            let event = read_event(record)?;
            (event.kind == kind && (sid.is_empty() || event.sid == sid)).then_some(event)
        })
    }

    /// The newest sound that came.
    pub fn listen(&self, sid: &str) -> Result<Sound> {
        let answer = self.ask_client("listen", json!({ "sid": sid }))?;
        let rate = answer["rate"].as_u64().context("no rate")?;
        let text = answer["samples"].as_str().context("no samples")?;
        Ok(Sound::from_bytes(
            u32::try_from(rate)?,
            &STANDARD.decode(text)?,
        ))
    }

    /// Waits until it hears this tone, and nothing else.
    pub fn wait_tone(&self, sid: &str, hertz: u32) -> Result<Heard> {
        audio::wait_tone(self.jid(), hertz, || self.listen(sid))
    }

    /// Waits until it hears nothing.
    pub fn wait_silence(&self, sid: &str) -> Result<Heard> {
        audio::wait_silence(self.jid(), || self.listen(sid))
    }

    /// Numbers of the call.
    pub fn stats(&self, sid: &str) -> Result<Stats> {
        let answer = self.ask_client("stats", json!({ "sid": sid }))?;
        Ok(serde_json::from_value(answer)?)
    }
}

fn read_event(record: &Value) -> Option<Event> {
    if record["event"] != json!("call") {
        return None;
    }
    serde_json::from_value(record.clone()).ok()
}
