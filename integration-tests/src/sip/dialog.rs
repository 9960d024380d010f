//! Calls of a scripted agent: an INVITE that came or goes out, and the dialog it makes.
//!
//! Invariant: only what a test says is sent, but for the ACK that ends an INVITE's transaction.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use super::{Agent, Draft, Message, Path, Received};

/// An INVITE that came.
#[derive(Debug)]
pub struct Called<'a> {
    agent: &'a Agent,
    /// The INVITE, with its offer.
    pub invite: Received,
    tag: String,
}

/// An INVITE that went out.
#[derive(Debug)]
pub struct Calling<'a> {
    agent: &'a Agent,
    draft: Draft,
    branch: String,
    path: Path,
}

/// A dialog (RFC 3261 §12), as the agent sees it.
#[derive(Debug)]
pub struct Dialog<'a> {
    agent: &'a Agent,
    path: Path,
    call_id: String,
    local: String,
    remote: String,
    target: String,
    /// The proxies on the way, nearest first.
    route: Vec<String>,
    cseq: u32,
    /// What the other end described last.
    pub description: String,
}

impl Agent {
    /// Waits for an INVITE that begins a call.
    pub fn wait_called(&self) -> Result<Called<'_>> {
        let invite = self.expect("a call", |message| {
            message.method() == Some("INVITE") && !message.header("To").contains(";tag=")
        })?;
        let tag = "agent".to_owned();
        Ok(Called {
            agent: self,
            invite,
            tag,
        })
    }

    /// Sends an INVITE to `gateway`, with more header fields and an offer unless it is empty.
    pub fn call(
        &self,
        gateway: &str,
        (from, to): (&str, &str),
        headers: &[(&str, &str)],
        offer: &str,
    ) -> Result<Calling<'_>> {
        let path = self.udp_to(gateway)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let branch = format!("z9hG4bK-dialog-{number}");
        let mut draft = Draft::new("INVITE", to)
            .with_branch(&branch)
            .with("From", &format!("<{from}>;tag=c{number}"))
            .with("Contact", &self.contact());
        for (name, value) in headers {
            draft = draft.with(name, value);
        }
        if !offer.is_empty() {
            draft = draft.with_body("application/sdp", offer.as_bytes());
        }
        path.send(&draft.to_bytes(&path))?;
        Ok(Calling {
            agent: self,
            draft,
            branch,
            path,
        })
    }

    fn contact(&self) -> String {
        format!("<sip:script@{}>", self.address())
    }
}

impl<'a> Called<'a> {
    /// From now on answers as another branch of a fork.
    #[must_use]
    pub fn as_branch(&self, tag: &str) -> Self {
        Self {
            agent: self.agent,
            invite: self.invite.clone(),
            tag: tag.to_owned(),
        }
    }

    /// What was offered.
    pub fn offer(&self) -> String {
        self.invite.message.text()
    }

    /// Answers with this status, more header fields, and a description unless it is empty.
    pub fn reply(&self, status: u16, headers: &[(&str, &str)], description: &str) -> Result<()> {
        let contact = self.agent.contact();
        let mut all = vec![("Contact", contact.as_str())];
        all.extend(headers);
        self.invite
            .reply_as(&self.tag, (status, "Scripted"), &all, description)
    }

    /// Answers with 200 and waits for the ACK.
    pub fn accept(&self, headers: &[(&str, &str)], answer: &str) -> Result<Dialog<'a>> {
        self.reply(200, headers, answer)?;
        let dialog = self.dialog();
        dialog.expect("ACK")?;
        Ok(dialog)
    }

    /// Refuses, and waits for the ACK.
    pub fn refuse(&self, status: u16, headers: &[(&str, &str)]) -> Result<()> {
        self.reply(status, headers, "")?;
        self.dialog().expect("ACK").map(drop)
    }

    /// Waits for the CANCEL, ends the call as it wants, and returns it.
    pub fn wait_cancelled(&self) -> Result<Message> {
        let cancel = self.dialog().expect("CANCEL")?;
        cancel.reply(200, "OK")?;
        self.refuse(487, &[])?;
        Ok(cancel.message)
    }

    /// The dialog of this branch.
    pub fn dialog(&self) -> Dialog<'a> {
        let invite = &self.invite.message;
        Dialog {
            agent: self.agent,
            path: self.invite.path.clone(),
            call_id: invite.header("Call-ID"),
            local: format!("{};tag={}", invite.header("To"), self.tag),
            remote: invite.header("From"),
            target: address_of(&invite.header("Contact")),
            route: invite.headers("Record-Route"),
            cseq: 0,
            description: invite.text(),
        }
    }
}

impl<'a> Calling<'a> {
    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.draft.call_id()
    }

    /// Waits for a response to the INVITE.
    pub fn expect(&self, status: u16) -> Result<Message> {
        let received = self
            .agent
            .expect(&format!("{status} to INVITE"), |message| {
                message.status() == Some(status) && self.is_for(message, "INVITE")
            })?;
        Ok(received.message)
    }

    /// Waits for a final response that refuses, acknowledges it, and returns it.
    pub fn wait_refused(&self) -> Result<Message> {
        let refusal = self.agent.expect("a refusal of the INVITE", |message| {
            message.status().is_some_and(|status| status >= 300) && self.is_for(message, "INVITE")
        })?;
        let ack = self.same_transaction("ACK");
        let ack = ack.with("To", &refusal.message.header("To"));
        self.path.send(&ack.to_bytes(&self.path))?;
        Ok(refusal.message)
    }

    /// Waits for the 200, and acknowledges it, with an answer unless it is empty.
    pub fn wait_accepted(&self, answer: &str) -> Result<Dialog<'a>> {
        let dialog = self.wait_answer()?;
        dialog.acknowledge(1, answer)?;
        Ok(dialog)
    }

    /// Waits for the 200, and does not acknowledge it.
    pub fn wait_answer(&self) -> Result<Dialog<'a>> {
        let accepted = self.expect(200)?;
        Ok(self.dialog(&accepted))
    }

    /// The dialog a response makes.
    pub fn dialog(&self, response: &Message) -> Dialog<'a> {
        Dialog {
            agent: self.agent,
            path: self.path.clone(),
            call_id: self.call_id().to_owned(),
            local: response.header("From"),
            remote: response.header("To"),
            target: address_of(&response.header("Contact")),
            route: response.headers("Record-Route").into_iter().rev().collect(),
            cseq: 1,
            description: response.text(),
        }
    }

    /// Cancels, with more header fields, and waits until that was heard and the INVITE is over.
    pub fn cancel(&self, headers: &[(&str, &str)]) -> Result<Message> {
        self.try_cancel(headers)?;
        self.wait_refused()
    }

    /// Cancels, and waits until that was heard, whatever becomes of the INVITE.
    pub fn try_cancel(&self, headers: &[(&str, &str)]) -> Result<()> {
        let mut cancel = self.same_transaction("CANCEL");
        for (name, value) in headers {
            cancel = cancel.with(name, value);
        }
        self.path.send(&cancel.to_bytes(&self.path))?;
        self.agent.expect("200 to CANCEL", |message| {
            message.status() == Some(200) && self.is_for(message, "CANCEL")
        })?;
        Ok(())
    }

    fn same_transaction(&self, method: &str) -> Draft {
        let mut draft = Draft::new(method, self.draft.uri())
            .with_branch(&self.branch)
            .with("CSeq", &format!("1 {method}"));
        for name in ["From", "Call-ID"] {
            draft = draft.with(name, self.draft.header(name));
        }
        draft
    }

    fn is_for(&self, message: &Message, method: &str) -> bool {
        message.header("Call-ID") == self.call_id() && message.header("CSeq").ends_with(method)
    }
}

impl Dialog<'_> {
    /// Sends a request of this dialog, and waits for its final response. That of an INVITE is
    /// acknowledged, and its description kept.
    pub fn ask(
        &mut self,
        method: &str,
        headers: &[(&str, &str)],
        (kind, body): (&str, &str),
    ) -> Result<Message> {
        self.cseq += 1;
        let mut draft = self.draft(method, self.cseq);
        for (name, value) in headers {
            draft = draft.with(name, value);
        }
        if !body.is_empty() {
            draft = draft.with_body(kind, body.as_bytes());
        }
        self.path.send(&draft.to_bytes(&self.path))?;
        let wanted = format!("{} {method}", self.cseq);
        let response = self
            .agent
            .expect(&format!("a final response to {wanted}"), |message| {
                message.status().is_some_and(|status| status >= 200)
                    && message.header("Call-ID") == self.call_id
                    && message.header("CSeq") == wanted
            })?
            .message;
        if method == "INVITE" {
            self.acknowledge(self.cseq, "")?;
        }
        Ok(response)
    }

    /// Acknowledges the INVITE with this number, with an answer unless it is empty.
    pub fn acknowledge(&self, cseq: u32, answer: &str) -> Result<()> {
        let mut ack = self.draft("ACK", cseq);
        if !answer.is_empty() {
            ack = ack.with_body("application/sdp", answer.as_bytes());
        }
        self.path.send(&ack.to_bytes(&self.path))
    }

    /// Waits for a request of this call.
    pub fn expect(&self, method: &str) -> Result<Received> {
        self.agent
            .expect(&format!("{method} of this call"), |message| {
                message.method() == Some(method) && message.header("Call-ID") == self.call_id
            })
    }

    /// Hangs up, and waits until that was heard.
    pub fn hang_up(&mut self, headers: &[(&str, &str)]) -> Result<()> {
        let status = self.ask("BYE", headers, ("", ""))?.status();
        anyhow::ensure!(status == Some(200), "BYE was answered with {status:?}");
        Ok(())
    }

    /// Waits until the other end hangs up, and returns its BYE.
    pub fn wait_hung_up(&self) -> Result<Message> {
        let bye = self.expect("BYE")?;
        bye.reply(200, "OK")?;
        Ok(bye.message)
    }

    /// The value of Replaces (RFC 3891) that names this dialog to the other end.
    pub fn replaces(&self) -> Result<String> {
        let tag = |text: &str| Some(text.split_once(";tag=")?.1.to_owned());
        let (ours, theirs) = tag(&self.local)
            .zip(tag(&self.remote))
            .context("a dialog has tags")?;
        Ok(format!("{};to-tag={theirs};from-tag={ours}", self.call_id))
    }

    fn draft(&self, method: &str, cseq: u32) -> Draft {
        let draft = Draft::new(method, &self.target)
            .with("From", &self.local)
            .with("To", &self.remote)
            .with("Call-ID", &self.call_id)
            .with("CSeq", &format!("{cseq} {method}"))
            .with("Contact", &self.agent.contact());
        match self.route.is_empty() {
            true => draft,
            false => draft.with("Route", &self.route.join(", ")),
        }
    }
}

/// What stands between angle brackets.
fn address_of(contact: &str) -> String {
    let inside = contact
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or(contact, |(uri, _)| uri).to_owned()
}

static NEXT: AtomicU64 = AtomicU64::new(1);
