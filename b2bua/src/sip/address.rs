//! Addresses with display names and parameters: From, To, Contact, Route (RFC 3261 §20.10).
//!
//! Without angle brackets every parameter belongs to the header, none to the URI.

use std::fmt;

use super::grammar;
use super::params::{self, Params};
use super::uri::{InvalidUri, Uri};

/// `"display name" <uri>;params`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unescaped; control characters become spaces when printed.
    pub display: Option<Box<str>>,
    /// The address itself.
    pub uri: Uri,
    /// The parameters of the header, such as `tag`.
    pub params: Params,
}

impl NameAddr {
    /// An address without display name or parameters.
    pub fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// Reads one address; the caller has split lists at their commas.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let text = grammar::trim(text);
        let Some(open) = find_bracket(text) else {
            let (uri, params) = text.split_once(';').unwrap_or((text, ""));
            let params = Params::parse(params).ok_or(InvalidUri::Params)?;
            return Ok(Self {
                display: None,
                uri: Uri::parse(grammar::trim(uri))?,
                params,
            });
        };
        let (display, rest) = text.split_at_checked(open).ok_or(InvalidUri::Character)?;
        let inside = rest.strip_prefix('<').ok_or(InvalidUri::Character)?;
        let (uri, params) = inside.split_once('>').ok_or(InvalidUri::Character)?;
        let params = grammar::trim(params);
        if !params.is_empty() && !params.starts_with(';') {
            return Err(InvalidUri::Params);
        }
        Ok(Self {
            display: read_display(grammar::trim(display))?,
            uri: Uri::parse(grammar::trim(uri))?,
            params: Params::parse(params).ok_or(InvalidUri::Params)?,
        })
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<String> {
        self.params
            .get("tag")
            .map(std::borrow::Cow::into_owned)
            .filter(|tag| !tag.is_empty())
    }
}

/// Whether the text of a From or To has a `tag`, without reading the rest of it.
pub fn has_tag(text: &str) -> bool {
    let params = match find_bracket(text) {
        Some(open) => text
            .get(open..)
            .and_then(|rest| rest.split_once('>'))
            .map(|(_, after)| after),
        None => text.find(';').and_then(|at| text.get(at..)),
    };
    let params = grammar::trim(params.unwrap_or_default());
    params::iterate(params).any(|(name, _)| grammar::trim(name).eq_ignore_ascii_case("tag"))
}

fn find_bracket(text: &str) -> Option<usize> {
    // Looking for the bracket itself: quotes hide it, other brackets cannot come before it.
    grammar::find_outside(text, b'<')
}

fn read_display(text: &str) -> Result<Option<Box<str>>, InvalidUri> {
    if text.is_empty() {
        return Ok(None);
    }
    let Some(rest) = text.strip_prefix('"') else {
        // Tokens and spaces by the grammar; peers write more, none of it harmful here.
        return match text.contains(['"', '>']) {
            true => Err(InvalidUri::Character),
            false => Ok(Some(grammar::clean(text).into())),
        };
    };
    let inside = rest.strip_suffix('"').ok_or(InvalidUri::Character)?;
    let name = grammar::unquote(inside);
    Ok((!name.is_empty()).then(|| name.into()))
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            let mut quoted = String::with_capacity(display.len() + 2);
            grammar::push_quoted(&mut quoted, display);
            write!(f, "{quoted} ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let bare = NameAddr::parse("sip:a@b;tag=x").unwrap();
        assert_eq!(bare.tag().as_deref(), Some("x"));
        assert_eq!(bare.to_string(), "<sip:a@b>;tag=x");
        let bracketed = NameAddr::parse("<sip:a@b;tag=x>").unwrap();
        assert_eq!(bracketed.tag(), None);
    }

    #[test]
    fn a_tag_is_found_where_it_is_one() {
        for text in [
            "<sip:a@b>;tag=1",
            "sip:a@b ; x=\";\"; TAG = 1",
            "\";tag\" <sip:a@b> ;y;tag",
        ] {
            assert!(has_tag(text), "{text}");
        }
        for text in [
            "<sip:a@b;tag=1>",
            "sip:a@b;x=\";tag=1\"",
            "\"<>;tag=1\" <sip:a@b>",
            "",
            "<a;tag=1",
        ] {
            assert!(!has_tag(text), "{text}");
        }
    }

    #[test]
    fn escaped_quotes_and_brackets_in_a_display_name_are_text() {
        let text = r#" "A \"<B>\" \\ C, D" <sip:a@b> ; tag=x;y "#;
        let address = NameAddr::parse(text).unwrap();
        assert_eq!(address.display.as_deref(), Some(r#"A "<B>" \ C, D"#));
        assert_eq!(address.params.as_str(), ";tag=x;y");
        assert_eq!(NameAddr::parse(&address.to_string()).unwrap(), address);
    }

    #[test]
    fn a_tel_uri_in_from_is_an_address_like_any_other() {
        let address = NameAddr::parse("<tel:+12015550123>;tag=1").unwrap();
        assert_eq!(address.uri.scheme(), "tel");
    }

    #[test]
    fn display_names_without_quotes_and_in_utf8_are_read() {
        let address = NameAddr::parse("Jürgen von  Ω <sip:j@x>").unwrap();
        assert_eq!(address.display.as_deref(), Some("Jürgen von  Ω"));
        assert_eq!(NameAddr::parse("\"\" <sip:j@x>").unwrap().display, None);
    }

    #[test]
    fn a_line_end_in_a_display_name_does_not_leave() {
        let mut address = NameAddr::new(Uri::parse("sip:a@b").unwrap());
        address.display = Some("x\r\nRoute: <sip:evil>".into());
        assert_eq!(address.to_string(), "\"x  Route: <sip:evil>\" <sip:a@b>");
    }

    #[test]
    fn refuses_half_addresses() {
        for text in [
            "",
            "<sip:a@b",
            "\"x <sip:a@b>",
            "x\" <sip:a@b>",
            "<sip:a@b> x",
            "<>",
            "<sip:a@b>;=",
            "*",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_prints_reads_back_the_same(display in "[a-z\"\\\\<>;, üé😀]{0,12}", tag in "[a-z0-9.]{1,8}") {
            let mut address = NameAddr::new(Uri::parse("sip:a@b;lr").unwrap());
            address.display = (!display.is_empty()).then(|| display.into());
            address.params.set("tag", Some(&tag));
            prop_assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[\"\\\\<>;,=:@a-z %ü\r\n]{0,40}") {
            let _ = NameAddr::parse(&text);
        }
    }
}
