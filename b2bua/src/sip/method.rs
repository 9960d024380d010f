//! Request methods (RFC 3261 §7.1).
//!
//! A method is case-sensitive and always a token: what is no token cannot become a [`Method`].

use std::fmt;

use super::grammar;

/// The name of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §17.1.1.3.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §11.
    Options,
    /// RFC 3261 §10.
    Register,
    /// RFC 3428.
    Message,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3903.
    Publish,
    /// RFC 3515.
    Refer,
    /// RFC 6086.
    Info,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// A method no specification we implement names.
    Other(Extension),
}

/// The token of a method we do not know; made only by [`Method::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension(Box<str>);

impl Method {
    /// Reads a method; `None` when the text is no token or longer than [`MAX_LEN`].
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((_, method)) = KNOWN.iter().find(|(name, _)| *name == text) {
            return Some(method.clone());
        }
        (text.len() <= MAX_LEN && grammar::is_token(text))
            .then(|| Self::Other(Extension(text.into())))
    }

    /// The method as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
            Self::Message => "MESSAGE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Refer => "REFER",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Other(Extension(name)) => name,
        }
    }

    /// Whether some specification we know defines the method (then 405, not 501, refuses it).
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Longest method name taken from the wire, in bytes.
pub const MAX_LEN: usize = 64;

const KNOWN: [(&str, Method); 14] = [
    ("MESSAGE", Method::Message),
    ("OPTIONS", Method::Options),
    ("INVITE", Method::Invite),
    ("ACK", Method::Ack),
    ("BYE", Method::Bye),
    ("CANCEL", Method::Cancel),
    ("REGISTER", Method::Register),
    ("SUBSCRIBE", Method::Subscribe),
    ("NOTIFY", Method::Notify),
    ("PUBLISH", Method::Publish),
    ("REFER", Method::Refer),
    ("INFO", Method::Info),
    ("UPDATE", Method::Update),
    ("PRACK", Method::Prack),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_method_survives_a_round_trip() {
        for (name, method) in &KNOWN {
            assert_eq!(method.as_str(), *name);
            assert_eq!(Method::parse(name).as_ref(), Some(method));
        }
    }

    #[test]
    fn is_case_sensitive() {
        assert!(matches!(Method::parse("message"), Some(Method::Other(_))));
    }

    #[test]
    fn refuses_what_is_no_token() {
        assert_eq!(Method::parse("ME SSAGE"), None);
        assert_eq!(Method::parse("X\r\nY"), None);
        assert_eq!(Method::parse(""), None);
        assert_eq!(Method::parse(&"A".repeat(MAX_LEN + 1)), None);
    }
}
