//! Scenarios of calls for sipp, step by step: what a test wants said and what has to come.
//!
//! A scenario either [answers](Scenario::answering) or [calls](Scenario::calling). sipp repeats what
//! RFC 3261 wants repeated, and anything unexpected fails it.
//!
//! Invariant: within a scenario CSeq numbers grow, and a response carries what its own request said.

use std::fmt::Write;

/// A call in the making, as one of its ends sees it.
#[derive(Clone, Debug)]
pub struct Scenario {
    steps: String,
    /// The own end of the dialog and the other, as From and To want them.
    local: String,
    remote: String,
    /// The To tag of the next responses.
    tag: String,
    cseq: u32,
    /// The CSeq of the INVITE that an ACK or CANCEL belongs to.
    invite: u32,
    answering: bool,
    /// Whether the request received last is the INVITE.
    fresh: bool,
    /// Its Contact.
    contact: String,
}

impl Scenario {
    /// Waits for an INVITE, to which the replies belong. Behind proxies only the first Via is known once another
    /// request has come, so scenarios with PRACK or UPDATE before the answer have to be called directly.
    pub fn answering() -> Self {
        let mut scenario = Self {
            steps: String::new(),
            local: "[$called]".to_owned(),
            remote: "[$caller]".to_owned(),
            tag: "a".to_owned(),
            cseq: 0,
            invite: 0,
            answering: true,
            fresh: true,
            contact: CONTACT.to_owned(),
        };
        scenario.receive_invite();
        // sipp complains about variables that are set and never used.
        scenario
            .steps
            .push_str("<Reference variables=\"via,caller,called,sequence\"/>\n");
        scenario
    }

    fn receive_invite(&mut self) {
        self.steps.push_str(
            "<recv request=\"INVITE\" rrs=\"true\"><action>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" assign_to=\"via\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"caller\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"called\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"sequence\"/>\
             </action></recv>\n",
        );
    }

    /// Waits for the INVITE of the same call once more, as after a challenge; replies belong to it from now on.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.receive_invite();
        self.fresh = true;
        self
    }

    /// From now on its Contact is this URI.
    #[must_use]
    pub fn at(mut self, uri: &str) -> Self {
        self.contact = format!("Contact: <{uri}>");
        self
    }

    /// Sends an INVITE from `from` to `to` (SIP URIs), with header fields (`Name: value`) and a description.
    pub fn calling(from: &str, to: &str, headers: &[&str], description: Option<&str>) -> Self {
        let mut scenario = Self {
            steps: String::new(),
            local: format!("<{from}>;tag=[pid]c[call_number]"),
            remote: format!("<{to}>"),
            tag: String::new(),
            cseq: 1,
            invite: 1,
            answering: false,
            fresh: false,
            contact: CONTACT.to_owned(),
        };
        scenario.send_request("INVITE", to, "", headers, description);
        scenario
    }

    /// Replies to the INVITE: `180 Ringing`, with header fields and a description.
    #[must_use]
    pub fn reply(mut self, status: &str, headers: &[&str], description: Option<&str>) -> Self {
        let origin = if self.fresh {
            "[last_Via:]\n[last_From:]\n[last_Call-ID:]\n[last_CSeq:]\n[last_Record-Route:]"
        } else {
            "Via:[$via]\nFrom:[$caller]\nCall-ID: [call_id]\nCSeq:[$sequence]"
        };
        let to = format!("To:[$called];tag=[pid]{}[call_number]", self.tag);
        let contact = self.contact.clone();
        self.send(
            &format!("SIP/2.0 {status}"),
            &[origin, &to, &contact],
            headers,
            description,
        );
        self
    }

    /// Replies to the request that came last, which is not the INVITE.
    #[must_use]
    pub fn reply_to_last(
        mut self,
        status: &str,
        headers: &[&str],
        description: Option<&str>,
    ) -> Self {
        let contact = self.contact.clone();
        self.send(
            &format!("SIP/2.0 {status}"),
            &[LAST, &contact],
            headers,
            description,
        );
        self
    }

    /// From now on replies to the INVITE come from another branch of a fork: they have this To tag.
    #[must_use]
    pub fn as_branch(mut self, tag: &str) -> Self {
        tag.clone_into(&mut self.tag);
        self
    }

    /// Waits for a request.
    #[must_use]
    pub fn expect(mut self, method: &str) -> Self {
        self.fresh = false;
        self.push(format_args!("<recv request=\"{method}\" crlf=\"true\"/>"));
        self
    }

    /// Waits for a response; provisional ones before it need not be named.
    #[must_use]
    pub fn expect_status(mut self, status: u16) -> Self {
        for provisional in [100, 180, 183] {
            if status != provisional {
                self.push(format_args!(
                    "<recv response=\"{provisional}\" optional=\"true\"/>"
                ));
            }
        }
        self.push(format_args!("<recv response=\"{status}\" rrs=\"true\"/>"));
        self
    }

    /// Acknowledges the final response to the INVITE, with a description if the offer came late.
    #[must_use]
    pub fn ack(mut self, description: Option<&str>) -> Self {
        let sequence = std::mem::replace(&mut self.cseq, self.invite);
        self.send_request("ACK", "[next_url]", "[routes]", &[], description);
        self.cseq = sequence;
        self
    }

    /// Cancels the INVITE, with header fields such as a Reason, and ends its transaction.
    #[must_use]
    pub fn cancel(mut self, to: &str, headers: &[&str]) -> Self {
        let head = [
            "[last_Via:]",
            &format!("From: {}", self.local),
            &format!("To: {}", self.remote),
            "Call-ID: [call_id]",
            &format!("CSeq: {} CANCEL", self.invite),
        ];
        self.send(&format!("CANCEL {to} SIP/2.0"), &head, headers, None);
        self.push(format_args!(
            "<recv response=\"200\"/>\n<recv response=\"487\"/>"
        ));
        // Of a refusal the ACK belongs to the same transaction, and has the same Via.
        let head = [
            "[last_Via:]",
            "[last_From:]",
            "[last_To:]",
            "Call-ID: [call_id]",
            &format!("CSeq: {} ACK", self.invite),
        ];
        self.send(&format!("ACK {to} SIP/2.0"), &head, &[], None);
        self
    }

    /// Sends a request within the dialog: `INVITE`, `UPDATE`, `PRACK`, `BYE`, `REFER`, `INFO`...
    #[must_use]
    pub fn request(mut self, method: &str, headers: &[&str], description: Option<&str>) -> Self {
        self.cseq += 1;
        if method == "INVITE" {
            self.invite = self.cseq;
        }
        self.send_request(method, "[next_url]", "[routes]", headers, description);
        self
    }

    /// Acknowledges a reliable provisional response just received (RFC 3262).
    #[must_use]
    pub fn prack(self) -> Self {
        let acknowledged = format!("RAck: 1 {} INVITE", self.invite);
        self.request("PRACK", &[&acknowledged], None)
            .expect_status(200)
    }

    /// Plays a file of G.711 bytes over and over, beginning now; see [`super::Sipp::write_tone`].
    #[must_use]
    pub fn play(mut self, file: &str, payload_type: u8) -> Self {
        self.push(format_args!(
            "<nop><action><exec rtp_stream=\"{file},-1,{payload_type}\"/></action></nop>"
        ));
        self
    }

    /// Lets time pass. Only for what has no event to wait for: media flowing, an answer kept waiting.
    #[must_use]
    pub fn pause(mut self, milliseconds: u32) -> Self {
        self.push(format_args!("<pause milliseconds=\"{milliseconds}\"/>"));
        self
    }

    /// The file that sipp reads.
    pub fn to_xml(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<scenario name=\"call\">\n{}</scenario>\n",
            self.steps
        )
    }

    fn send_request(
        &mut self,
        method: &str,
        uri: &str,
        routes: &str,
        headers: &[&str],
        description: Option<&str>,
    ) {
        // Once the other end has answered, it has a tag; sipp takes it from the message received last.
        let to = match (uri == "[next_url]", self.answering) {
            (true, false) => format!("To: {}[peer_tag_param]", self.remote),
            (_, true) => format!("To:{}", self.remote),
            (false, false) => format!("To: {}", self.remote),
        };
        let from = if self.answering {
            format!("From:{};tag=[pid]{}[call_number]", self.local, self.tag)
        } else {
            format!("From: {}", self.local)
        };
        let sequence = format!("CSeq: {} {method}", self.cseq);
        let contact = self.contact.clone();
        let mut head =
            vec!["Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport"];
        if !routes.is_empty() {
            head.push(routes);
        }
        head.extend([
            "Max-Forwards: 70",
            &from,
            &to,
            "Call-ID: [call_id]",
            &sequence,
            &contact,
        ]);
        self.send(
            &format!("{method} {uri} SIP/2.0"),
            &head,
            headers,
            description,
        );
    }

    fn send(&mut self, start: &str, head: &[&str], headers: &[&str], description: Option<&str>) {
        // Requests and final responses to an INVITE are repeated until something comes; sipp repeats the
        // other responses only when their request is.
        let in_answer = head.contains(&LAST) || start.starts_with("SIP/2.0 1");
        let repeated = !start.starts_with("ACK") && !in_answer;
        let retransmission = if repeated { " retrans=\"500\"" } else { "" };
        let mut lines = vec![start];
        lines.extend(head);
        lines.extend(headers);
        if description.is_some() {
            lines.push("Content-Type: application/sdp");
        }
        let lines = lines.join("\n");
        let body = description
            .map(|text| text.replace("\r\n", "\n"))
            .unwrap_or_default();
        self.push(format_args!(
            "<send{retransmission}><![CDATA[\n\n{lines}\nContent-Length: [len]\n\n{body}]]></send>"
        ));
    }

    fn push(&mut self, step: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.steps, "{step}");
    }
}

/// A description of sipp's own media: one stream of G.711, as `a=` says (`sendrecv`, `sendonly`, ...).
pub fn own_media(payload_type: u8, direction: &str) -> String {
    format!(
        "v=0\no=sipp 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\n\
         m=audio [rtpstream_audio_port] RTP/AVP {payload_type} 101\na=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-15\na=ptime:20\na={direction}\n"
    )
}

const LAST: &str = "[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]";
const CONTACT: &str = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_its_requests() {
        let xml = Scenario::calling(
            "sip:a@here.test",
            "sip:b@there.test",
            &["Supported: 100rel"],
            None,
        )
        .expect_status(183)
        .prack()
        .expect_status(200)
        .ack(None)
        .request("INVITE", &[], Some("v=0\r\n"))
        .expect_status(200)
        .ack(None)
        .request("BYE", &[], None)
        .to_xml();
        let sequences: Vec<&str> = xml
            .lines()
            .filter_map(|line| line.strip_prefix("CSeq: "))
            .collect();
        assert_eq!(
            sequences,
            ["1 INVITE", "2 PRACK", "1 ACK", "3 INVITE", "3 ACK", "4 BYE"]
        );
        assert!(
            xml.contains("RAck: 1 1 INVITE") && !xml.contains('\r'),
            "{xml}"
        );
    }

    #[test]
    fn an_answer_comes_from_where_it_says_and_may_be_asked_for_again() {
        let xml = Scenario::answering()
            .reply("401 Who?", &[], None)
            .expect("ACK")
            .again()
            .at("sip:two@127.0.0.1:5080")
            .reply("200 OK", &[], None)
            .to_xml();
        let (before, after) = xml.split_once("ACK").unwrap();
        assert!(before.contains("Contact: <sip:sipp@[local_ip]") && !before.contains("two@"));
        assert!(after.contains("Contact: <sip:two@127.0.0.1:5080>") && !after.contains("sipp@"));
        assert_eq!(xml.matches("assign_to=\"via\"").count(), 2);
        assert_eq!(xml.matches("Reference").count(), 1);
        // Whatever came last before a reply is the INVITE it belongs to.
        assert_eq!(after.matches("[last_Via:]").count(), 1);
    }

    #[test]
    fn an_answer_remembers_its_request() {
        let xml = Scenario::answering()
            .reply("180 Ringing", &[], None)
            .expect("PRACK")
            .reply_to_last("200 OK", &[], None)
            .as_branch("b")
            .reply("200 OK", &[], None)
            .to_xml();
        let (before, after) = xml.split_once("PRACK").unwrap();
        assert!(before.contains("[last_Via:]") && before.contains("tag=[pid]a["));
        assert!(
            after.contains("Via:[$via]") && after.contains("tag=[pid]b["),
            "{after}"
        );
    }
}
