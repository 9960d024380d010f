//! Names of header fields, with their compact forms (RFC 3261 §7.3.3 and its extensions).
//!
//! Names compare without case; a compact form is the same name.

/// The name of a header field.
#[derive(Debug, Clone, Copy)]
pub enum Name<'a> {
    /// One we know.
    Known(Known),
    /// Any other token.
    Other(&'a str),
}

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(/ $compact:literal)?,)*) => {
        /// The names we know.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Known {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        #[expect(non_upper_case_globals, reason = "they read like the variants they stand for")]
        impl Name<'static> {
            $(#[doc = concat!("`", $name, "`")] pub const $variant: Self = Self::Known(Known::$variant);)*
        }

        impl Known {
            /// The long form.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The name for a long or compact form.
            pub fn parse(text: &str) -> Option<Self> {
                if let &[letter] = text.as_bytes() {
                    $($(if letter.eq_ignore_ascii_case(&$compact) { return Some(Self::$variant); })?)*
                    return None;
                }
                $(if text.eq_ignore_ascii_case($name) { return Some(Self::$variant); })*
                None
            }
        }
    };
}

// The most frequent first: they are found first.
names! {
    Via = "Via" / b'v',
    From = "From" / b'f',
    To = "To" / b't',
    CallId = "Call-ID" / b'i',
    CSeq = "CSeq",
    MaxForwards = "Max-Forwards",
    ContentType = "Content-Type" / b'c',
    ContentLength = "Content-Length" / b'l',
    Contact = "Contact" / b'm',
    UserAgent = "User-Agent",
    Server = "Server",
    Allow = "Allow",
    Supported = "Supported" / b'k',
    Route = "Route",
    RecordRoute = "Record-Route",
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    AllowEvents = "Allow-Events" / b'u',
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallInfo = "Call-Info",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding" / b'e',
    ContentLanguage = "Content-Language",
    Date = "Date",
    Event = "Event" / b'o',
    Expires = "Expires",
    Identity = "Identity" / b'y',
    InfoPackage = "Info-Package",
    InReplyTo = "In-Reply-To",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    MimeVersion = "MIME-Version",
    Organization = "Organization",
    PAssertedIdentity = "P-Asserted-Identity",
    Path = "Path",
    PCalledPartyId = "P-Called-Party-ID",
    PPreferredIdentity = "P-Preferred-Identity",
    Priority = "Priority",
    Privacy = "Privacy",
    RemotePartyId = "Remote-Party-ID",
    Diversion = "Diversion",
    HistoryInfo = "History-Info",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    Reason = "Reason",
    RecvInfo = "Recv-Info",
    ReferredBy = "Referred-By" / b'b',
    ReferTo = "Refer-To" / b'r',
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition" / b'd',
    Require = "Require",
    RetryAfter = "Retry-After",
    RSeq = "RSeq",
    ServiceRoute = "Service-Route",
    FlowTimer = "Flow-Timer",
    SessionExpires = "Session-Expires" / b'x',
    Subject = "Subject" / b's',
    SubscriptionState = "Subscription-State",
    Timestamp = "Timestamp",
    Unsupported = "Unsupported",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
    AcceptContact = "Accept-Contact" / b'a',
    RejectContact = "Reject-Contact" / b'j',
    IdentityInfo = "Identity-Info" / b'n',
}

impl<'a> Name<'a> {
    /// The name a text stands for.
    pub fn new(text: &'a str) -> Self {
        Known::parse(text).map_or(Self::Other(text), Self::Known)
    }

    /// The name as we print it.
    pub fn as_str(&self) -> &'a str {
        match self {
            Self::Known(known) => known.as_str(),
            Self::Other(text) => text,
        }
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(one), Self::Known(two)) => one == two,
            (Self::Other(one), Self::Other(two)) => one.eq_ignore_ascii_case(two),
            _ => false,
        }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_long_and_oddly_cased_forms_are_one_name() {
        for (one, two) in [
            ("v", "VIA"),
            ("i", "call-id"),
            ("K", "Supported"),
            ("x-foo", "X-Foo"),
        ] {
            assert_eq!(Name::new(one), Name::new(two));
        }
        assert_ne!(Name::new("From"), Name::new("To"));
        assert_ne!(Name::new("q"), Name::new("Via"));
    }
}
