//! Request-URIs and addresses: `sip:`, `sips:` (RFC 3261 §19.1), `tel:` (RFC 3966) and the rest.
//!
//! A [`Uri`] prints exactly as it was read, but for escapes that were missing; a password and the
//! `?headers` of a SIP URI are dropped on reading, so they can be neither leaked nor obeyed.

use std::borrow::Cow;
use std::fmt;

use super::grammar;
use super::params::Params;

mod host;
pub use host::{Host, HostPort};

/// Where a request goes, or who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`; the text is number and parameters, unchecked beyond its characters.
    Tel(Opaque),
    /// Any other scheme: `im:`, `pres:`, `urn:`, `http:`.
    Other {
        /// In lower case.
        scheme: Box<str>,
        /// What follows the colon.
        rest: Opaque,
    },
}

/// A `sip:` or `sips:` URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SipUri {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    user: Option<Box<str>>,
    /// The domain or address.
    pub host: Host,
    /// The port, if written.
    pub port: Option<u16>,
    /// `;transport=`, `;lr`, `;user=`, `;gr=` and others.
    pub params: Params,
}

/// The part after a scheme we do not look into: visible ASCII without `<`, `>` and `"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Opaque(Box<str>);

/// Why a text is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUri {
    /// No `scheme:` in front.
    #[error("URI without a scheme")]
    NoScheme,
    /// White space, control characters, quotes or brackets.
    #[error("forbidden character in URI")]
    Character,
    /// The user part is empty, or holds what cannot be escaped.
    #[error("invalid user part")]
    User,
    /// No host, or none that could exist.
    #[error("invalid host")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("invalid port")]
    Port,
    /// Against the grammar of parameters.
    #[error("invalid URI parameters")]
    Params,
    /// Longer than [`MAX_LEN`].
    #[error("URI too long")]
    TooLong,
}

impl Uri {
    /// Reads a URI of any scheme.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        if text.len() > MAX_LEN {
            return Err(InvalidUri::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(InvalidUri::NoScheme)?;
        if !is_scheme(scheme) {
            return Err(InvalidUri::NoScheme);
        }
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse_rest(false, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse_rest(true, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            Opaque::new(rest).map(Self::Tel)
        } else {
            let scheme = scheme.to_ascii_lowercase().into();
            Ok(Self::Other {
                scheme,
                rest: Opaque::new(rest)?,
            })
        }
    }

    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sip(uri) if uri.secure => "sips",
            Self::Sip(_) => "sip",
            Self::Tel(_) => "tel",
            Self::Other { scheme, .. } => scheme,
        }
    }

    /// The SIP or SIPS URI, if it is one.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Tel(_) | Self::Other { .. } => None,
        }
    }
}

impl SipUri {
    /// `sip:host`, to which user, port and parameters are added.
    pub fn new(host: Host) -> Self {
        Self {
            secure: false,
            user: None,
            host,
            port: None,
            params: Params::default(),
        }
    }

    /// With this user, given unescaped: every octet a SIP user may not hold is percent-encoded.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        let mut raw = String::with_capacity(user.len());
        grammar::push_percent_encoded(&mut raw, user.as_bytes(), grammar::is_user_byte);
        self.user = (!raw.is_empty()).then(|| raw.into());
        self
    }

    /// The user as it stands on the wire.
    pub fn raw_user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user with its escapes undone; octets, since nothing promises UTF-8.
    pub fn user(&self) -> Option<Cow<'_, [u8]>> {
        self.user.as_deref().map(grammar::percent_decode)
    }

    fn parse_rest(secure: bool, rest: &str) -> Result<Self, InvalidUri> {
        // A raw `@` cannot stand in userinfo, but `?` and `;` can: the `@` decides first.
        let length = "sips:".len() + rest.len();
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let user = userinfo.map(read_user).transpose()?;
        // Escapes that were left out are written, and the whole has to be readable again.
        let grown = user.as_deref().map_or(0, str::len);
        let grown = grown.saturating_sub(userinfo.map_or(0, str::len));
        if length + grown > MAX_LEN {
            return Err(InvalidUri::TooLong);
        }
        let rest = rest.split('?').next().unwrap_or_default();
        let (host, params) = match rest.split_once(';') {
            Some((host, params)) => (host, Params::parse(params).ok_or(InvalidUri::Params)?),
            None => (rest, Params::default()),
        };
        let HostPort { host, port } = HostPort::parse(host)?;
        Ok(Self {
            secure,
            user,
            host,
            port,
            params,
        })
    }
}

impl Opaque {
    /// Takes the text as it is, if it can be printed safely.
    pub fn new(text: &str) -> Result<Self, InvalidUri> {
        let safe = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
        match text.bytes().all(safe) && !text.is_empty() {
            true => Ok(Self(text.into())),
            false => Err(InvalidUri::Character),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads `user[:password]`, dropping the password and escaping what peers forget to escape.
fn read_user(userinfo: &str) -> Result<Box<str>, InvalidUri> {
    let user = userinfo.split(':').next().unwrap_or_default();
    if grammar::is_percent_encoded(user, grammar::is_user_byte) {
        return match user.is_empty() {
            true => Err(InvalidUri::User),
            false => Ok(user.into()),
        };
    }
    let hopeless = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"');
    if user.contains(hopeless) {
        return Err(InvalidUri::User);
    }
    let mut out = String::with_capacity(user.len() + 8);
    let mut rest = user;
    while let Some(first) = rest.chars().next() {
        let (character, tail) = rest
            .split_at_checked(first.len_utf8())
            .unwrap_or((rest, ""));
        let escape = tail
            .get(..2)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match escape {
            Some(hex) if first == '%' => {
                out.push('%');
                out.push_str(hex);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                grammar::push_percent_encoded(
                    &mut out,
                    character.as_bytes(),
                    grammar::is_user_byte,
                );
                rest = tail;
            }
        }
    }
    Ok(out.into())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Self::Sip(uri)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Tel(rest) => write!(f, "tel:{}", rest.0),
            Self::Other { scheme, rest } => write!(f, "{scheme}:{}", rest.0),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

/// Longest URI taken from the wire, in bytes.
pub const MAX_LEN: usize = 4096;

#[cfg(test)]
mod tests;
