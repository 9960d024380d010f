//! A request in the making: sensible by default, and anything a test wants instead.
//!
//! Invariant: two drafts never share Call-ID, branch or tag unless a test sets them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Path;

/// A request; Via and Content-Length are added when it is rendered for a path.
#[derive(Clone, Debug)]
pub struct Draft {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    call_id: String,
    branch: String,
}

impl Draft {
    /// A request with all mandatory header fields (RFC 3261 §8.1.1).
    pub fn new(method: &str, uri: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let call_id = format!("call-{number}-{}", std::process::id());
        Self {
            method: method.to_owned(),
            uri: uri.to_owned(),
            headers: vec![
                ("Max-Forwards".to_owned(), "70".to_owned()),
                (
                    "From".to_owned(),
                    format!("<sip:tester@tester.test>;tag=f{number}"),
                ),
                ("To".to_owned(), format!("<{uri}>")),
                ("Call-ID".to_owned(), call_id.clone()),
                ("CSeq".to_owned(), format!("1 {method}")),
            ],
            body: Vec::new(),
            call_id,
            branch: format!("z9hG4bK-{number}"),
        }
    }

    /// A MESSAGE with a plain text (RFC 3428).
    pub fn message(uri: &str, from: &str, text: &str) -> Self {
        let draft = Self::new("MESSAGE", uri);
        let tag = draft.branch.trim_start_matches("z9hG4bK-").to_owned();
        draft
            .with("From", &format!("<{from}>;tag=f{tag}"))
            .with_body("text/plain", text.as_bytes())
    }

    /// Sets a header field, replacing one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("Call-ID") {
            value.clone_into(&mut self.call_id);
        }
        let present = self
            .headers
            .iter_mut()
            .find(|(field, _)| field.eq_ignore_ascii_case(name));
        match present {
            Some((_, old)) => value.clone_into(old),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Leaves a header field out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.with("Content-Type", content_type)
    }

    /// A new transaction for the same request: another branch, all else the same.
    #[must_use]
    pub fn with_branch(mut self, branch: &str) -> Self {
        branch.clone_into(&mut self.branch);
        self
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The Request-URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The value of a header field, if it was set.
    pub fn header(&self, name: &str) -> &str {
        let mut fields = self.headers.iter();
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The bytes to send over `path`.
    pub fn to_bytes(&self, path: &Path) -> Vec<u8> {
        let mut bytes = self.render_head(path).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The text to send over `path`; for bodies that are no UTF-8 there is [`Self::to_bytes`].
    pub fn render(&self, path: &Path) -> String {
        self.render_head(path) + &String::from_utf8_lossy(&self.body)
    }

    fn render_head(&self, path: &Path) -> String {
        let mut text = format!(
            "{} {} SIP/2.0\r\nVia: SIP/2.0/{} {};branch={};rport\r\n",
            self.method,
            self.uri,
            path.transport(),
            path.source(),
            self.branch
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        text
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);
