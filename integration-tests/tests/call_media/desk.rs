//! A scripted phone: its signalling is written here, its sound is [`Peer`]'s. It calls Tandem and is called.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use integration_tests::audio::Law;
use integration_tests::jingle::Client;
use integration_tests::kamailio::GATEWAY;
use integration_tests::rtp::{self, Peer, Stream};
use integration_tests::sip::{Agent, Draft, Message, Path, Received};

use crate::scene::{DESK, DESK_6, GATEWAY_6, Scene};

/// Where a phone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// [`DESK`].
    V4,
    /// [`DESK_6`].
    V6,
}

/// The phone.
pub(crate) struct Desk {
    agent: Agent,
    from: String,
    contact: String,
    path: Path,
    /// What it hears and says.
    pub(crate) sound: Peer,
}

/// A call that was answered.
pub(crate) struct Dialog {
    local: String,
    remote: String,
    /// Where Tandem says that it is.
    pub(crate) target: String,
    call_id: String,
    sequence: u32,
    contact: String,
    /// Tandem's last description.
    pub(crate) theirs: String,
}

impl Desk {
    pub(crate) fn start() -> Result<Self> {
        Self::at(Site::V4)
    }

    pub(crate) fn at(site: Site) -> Result<Self> {
        let (own, gateway, domain) = match site {
            Site::V4 => (DESK, GATEWAY, "desk.test"),
            Site::V6 => (DESK_6, GATEWAY_6, "v6.test"),
        };
        let agent = Agent::bind(own)?;
        Ok(Self {
            path: agent.udp_to(gateway)?,
            sound: Peer::bind(&SocketAddr::new(agent.address().ip(), 0).to_string())?,
            agent,
            from: format!("<sip:desk@{domain}>;tag=desk"),
            contact: format!("<sip:desk@{own}>"),
        })
    }

    /// What it describes itself with.
    pub(crate) fn describe(&self) -> Result<String> {
        self.sound.describe(Law::Mu, "sendrecv")
    }

    /// Calls `user`, whose `client` takes the call; returns the dialog and the sid.
    pub(crate) fn call(
        &self,
        scene: &Scene,
        client: &Client,
        user: &str,
        description: &str,
    ) -> Result<(Dialog, String)> {
        let invite = Draft::new("INVITE", &scene.uri_of(user))
            .with("From", &self.from)
            .with("Contact", &self.contact)
            .with_body(SDP, description.as_bytes());
        self.path.send(&invite.to_bytes(&self.path))?;
        let proposal = client.wait_proposal()?;
        client.take_proposal(&proposal)?;
        let answer = self.wait_final(invite.call_id(), 1)?;
        ensure!(answer.status() == Some(200), "{answer}");
        let dialog = Dialog {
            local: answer.header("From"),
            remote: answer.header("To"),
            target: inside(&answer.header("Contact"))?,
            call_id: invite.call_id().to_owned(),
            sequence: 1,
            contact: self.contact.clone(),
            theirs: answer.text(),
        };
        self.acknowledge(&dialog)?;
        Ok((dialog, proposal.id))
    }

    /// Waits for a call and answers it; returns the dialog and the INVITE.
    pub(crate) fn answer(&self, description: &str) -> Result<(Dialog, Message)> {
        let invite = self.agent.expect_request("INVITE")?;
        let contact = [("Contact", self.contact.as_str())];
        invite.reply_as("desk", (200, "OK"), &contact, description)?;
        let message = invite.message;
        let dialog = Dialog {
            local: format!("{};tag=desk", message.header("To")),
            remote: message.header("From"),
            target: inside(&message.header("Contact"))?,
            call_id: message.header("Call-ID"),
            sequence: 0,
            contact: self.contact.clone(),
            theirs: message.text(),
        };
        self.expect(&dialog, "ACK")?;
        Ok((dialog, message))
    }

    /// Begins to send its tone where Tandem wants it.
    pub(crate) fn talk(&self, dialog: &Dialog) -> Result<()> {
        self.sound.send(Stream::tone(dialog.media()?, Law::Mu, 440));
        Ok(())
    }

    /// Both hear each other.
    pub(crate) fn expect_tones(&self, client: &Client, sid: &str) -> Result<()> {
        client.wait_tone(sid, 440)?;
        self.sound.wait_tone(550).map(drop)
    }

    /// Makes a new offer, and returns the answer.
    pub(crate) fn offer(&self, dialog: &mut Dialog, description: &str) -> Result<Message> {
        let answer = self.request(dialog, "INVITE", Some((SDP, description)))?;
        self.acknowledge(dialog)?;
        ensure!(answer.status() == Some(200), "{answer}");
        dialog.theirs = answer.text();
        Ok(answer)
    }

    /// Makes all these offers without waiting for an answer in between, and returns the status of each.
    pub(crate) fn rush(&self, dialog: &mut Dialog, descriptions: &[String]) -> Result<Vec<u16>> {
        let first = dialog.sequence + 1;
        for description in descriptions {
            dialog.sequence += 1;
            let draft = dialog
                .draft("INVITE")
                .with_body(SDP, description.as_bytes());
            self.path.send(&draft.to_bytes(&self.path))?;
        }
        let last = dialog.sequence;
        let mut statuses = Vec::new();
        for sequence in first..=last {
            let answer = self.wait_final(&dialog.call_id, sequence)?;
            statuses.push(answer.status().unwrap_or_default());
            dialog.sequence = sequence;
            self.acknowledge(dialog)?;
        }
        dialog.sequence = last;
        Ok(statuses)
    }

    /// Sends a request within the call, and returns its final response.
    pub(crate) fn request(
        &self,
        dialog: &mut Dialog,
        method: &str,
        body: Option<(&str, &str)>,
    ) -> Result<Message> {
        dialog.sequence += 1;
        let mut draft = dialog.draft(method);
        if let Some((kind, text)) = body {
            draft = draft.with_body(kind, text.as_bytes());
        }
        self.path.send(&draft.to_bytes(&self.path))?;
        self.wait_final(&dialog.call_id, dialog.sequence)
    }

    /// Waits for an offer of Tandem's, answers it with `description`, and returns what was offered.
    pub(crate) fn accept_offer(&self, dialog: &mut Dialog, description: &str) -> Result<String> {
        let offer = self.expect(dialog, "INVITE")?;
        let contact = [("Contact", self.contact.as_str())];
        offer.reply_as("agent", (200, "OK"), &contact, description)?;
        self.expect(dialog, "ACK")?;
        dialog.theirs = offer.message.text();
        Ok(dialog.theirs.clone())
    }

    /// Waits for a request within the call, which is left unanswered.
    pub(crate) fn expect(&self, dialog: &Dialog, method: &str) -> Result<Received> {
        self.agent
            .expect(&format!("{method} of the call"), |message| {
                message.method() == Some(method) && message.header("Call-ID") == dialog.call_id
            })
    }

    /// Waits for the end of the call, and returns the BYE.
    pub(crate) fn wait_end(&self, dialog: &Dialog) -> Result<Message> {
        let bye = self.expect(dialog, "BYE")?;
        bye.reply(200, "OK")?;
        Ok(bye.message)
    }

    /// Ends the call.
    pub(crate) fn hang_up(&self, mut dialog: Dialog, client: &Client, sid: &str) -> Result<()> {
        let answer = self.request(&mut dialog, "BYE", None)?;
        ensure!(answer.status() == Some(200), "{answer}");
        self.sound.pause();
        ensure!(client.wait_ended(sid)? == "success");
        Ok(())
    }

    fn acknowledge(&self, dialog: &Dialog) -> Result<()> {
        let ack = dialog.draft("ACK");
        self.path.send(&ack.to_bytes(&self.path))
    }

    fn wait_final(&self, call_id: &str, sequence: u32) -> Result<Message> {
        let sequence = format!("{sequence} ");
        let received = self.agent.expect("a final response", |message| {
            message.status().is_some_and(|status| status >= 200)
                && message.header("Call-ID") == call_id
                && message.header("CSeq").starts_with(&sequence)
        })?;
        Ok(received.message)
    }
}

impl Dialog {
    /// Where Tandem wants its sound.
    pub(crate) fn media(&self) -> Result<SocketAddr> {
        rtp::media_address(&self.theirs).context("Tandem gave no address")
    }

    fn draft(&self, method: &str) -> Draft {
        Draft::new(method, &self.target)
            .with("From", &self.local)
            .with("To", &self.remote)
            .with("Call-ID", &self.call_id)
            .with("CSeq", &format!("{} {method}", self.sequence))
            .with("Contact", &self.contact)
    }
}

/// The URI between angle brackets.
fn inside(field: &str) -> Result<String> {
    let uri = field.split(['<', '>']).nth(1).context("no URI")?;
    Ok(uri.to_owned())
}

const SDP: &str = "application/sdp";
