//! The Replaces header field (RFC 3891): which call a new one takes the place of.

use std::fmt;

use super::{Headers, Name};
use crate::sip::grammar;
use crate::sip::params::Params;
use crate::sip::status::Status;

/// The dialog to be replaced, as its receiver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: Box<str>,
    /// The tag of whoever receives this.
    pub to_tag: Box<str>,
    /// The tag of the other side; `0` stands for none.
    pub from_tag: Box<str>,
    /// Only if it is not confirmed yet.
    pub early_only: bool,
}

impl Replaces {
    /// Reads one value.
    pub fn parse(text: &str) -> Option<Self> {
        let (call_id, params) = text.split_once(';')?;
        let call_id = grammar::trim(call_id);
        let params = Params::parse(params)?;
        let tag = |name| Some(params.get(name)?.into_owned().into_boxed_str());
        let (to_tag, from_tag) = (tag("to-tag")?, tag("from-tag")?);
        if call_id.is_empty() || to_tag.is_empty() || from_tag.is_empty() {
            return None;
        }
        Some(Self {
            call_id: call_id.into(),
            to_tag,
            from_tag,
            early_only: params.has("early-only"),
        })
    }
}

impl Headers {
    /// The dialog this INVITE is to replace.
    ///
    /// # Errors
    /// 400 when it cannot be read or more than one is named.
    pub fn replaces(&self) -> Result<Option<Replaces>, Status> {
        let mut values = self.all(Name::Replaces);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Status::BAD_REQUEST),
            (Some(_), None) if self.get("Join").is_some() => Err(Status::BAD_REQUEST),
            (Some(text), None) => match Replaces::parse(text) {
                Some(replaces) => Ok(Some(replaces)),
                None => Err(Status::BAD_REQUEST),
            },
        }
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call_id,
            to_tag,
            from_tag,
            early_only,
        } = self;
        write!(f, "{call_id};to-tag={to_tag};from-tag={from_tag}")?;
        match early_only {
            true => f.write_str(";early-only"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        let text = "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff;early-only";
        let replaces = Replaces::parse(text).unwrap();
        assert_eq!(&*replaces.to_tag, "ff87ff");
        assert!(replaces.early_only);
        assert_eq!(Replaces::parse(&replaces.to_string()), Some(replaces));
    }

    #[test]
    fn more_than_one_or_half_a_one_is_a_bad_request() {
        for texts in [
            &["a;to-tag=1;from-tag=2", "b;to-tag=1;from-tag=2"][..],
            &["a;to-tag=1"],
            &[";to-tag=1;from-tag=2"],
            &["a"],
        ] {
            let mut headers = Headers::new();
            for text in texts {
                headers.push(Name::Replaces, text);
            }
            assert_eq!(headers.replaces(), Err(Status::BAD_REQUEST), "{texts:?}");
        }
        assert_eq!(Headers::new().replaces(), Ok(None));
    }
}
