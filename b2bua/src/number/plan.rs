//! How people and providers write telephone numbers, and the one form they mean (E.164; RFC 3966
//! §5.1; specs 1.6, 10.9).

use tandem_shared::address::number::{self, Number};

/// A dialling plan: what is added to a number, or left out, by those who live in one country.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The country's code, as `1` or `49`; without it only international spellings are understood.
    pub country: Option<String>,
    /// What stands before a number abroad: `00`, `011`.
    pub international: Vec<String>,
    /// What stands before a number of the same country: `0`, `1`, or nothing.
    pub national: String,
    /// Numbers of so many digits without anything before them are of the same country; 0 for none.
    pub bare: usize,
}

/// How a trunk writes global numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `+15551234567`.
    #[default]
    Plus,
    /// `15551234567`.
    Bare,
    /// As people in its country dial: `5551234567`, `0301234567`, `0044...`.
    National,
}

impl Plan {
    /// How people dial in the country of this code where nobody says otherwise. In those that share
    /// the code 1: ten digits, a 1 before them, 011 before numbers abroad. Elsewhere 0 and 00.
    #[must_use]
    pub fn in_country(code: &str) -> Self {
        let american = code == AMERICA;
        let international: &[&str] = match american {
            true => &["011", ABROAD],
            false => &[ABROAD],
        };
        Self {
            country: (!code.is_empty()).then(|| code.to_owned()),
            international: international.iter().map(ToString::to_string).collect(),
            national: if american { "1" } else { "0" }.to_owned(),
            bare: if american { 10 } else { 0 },
        }
    }

    /// The plan of this country, else the same. What was said of how people dial was said of the
    /// country of this plan, and holds where they dial alike.
    #[must_use]
    pub fn of(&self, country: Option<&str>) -> Self {
        let Some(code) = country else {
            return self.clone();
        };
        let american = self.country.as_deref() == Some(AMERICA);
        match american == (code == AMERICA) {
            true => Self {
                country: Some(code.to_owned()),
                ..self.clone()
            },
            false => Self::in_country(code),
        }
    }

    /// The E.164 number that `text` means; nothing when it is a service code, an extension or no
    /// number at all.
    #[must_use]
    pub fn normalise(&self, text: &str) -> Option<String> {
        let local = match number::parse(text)? {
            Number::Global(number) => return is_e164(&number).then_some(number),
            Number::Local(local) => local,
        };
        if !local.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut abroad = self
            .abroad()
            .filter_map(|prefix| local.strip_prefix(prefix));
        if let Some(rest) = abroad.next() {
            return global(rest);
        }
        let country = self.country.as_deref()?;
        if self.bare > 0 && local.len() == self.bare && !self.begins_national(&local) {
            return global(&format!("{country}{local}"));
        }
        if self.national.is_empty() {
            return None;
        }
        let rest = local.strip_prefix(self.national.as_str())?;
        // Where the country's code is the prefix too, only whole numbers are meant.
        if self.bare > 0 && rest.len() != self.bare {
            return None;
        }
        (rest.len() >= MIN_NATIONAL)
            .then(|| global(&format!("{country}{rest}")))
            .flatten()
    }

    /// Reads a number that a trunk wrote in `format`.
    #[must_use]
    pub fn read(&self, text: &str, format: Format) -> Option<String> {
        match (number::parse(text)?, format) {
            (Number::Global(number), _) => is_e164(&number).then_some(number),
            (Number::Local(_), Format::Plus) => None,
            (Number::Local(local), Format::Bare) => (local.len() >= MIN_GLOBAL)
                .then(|| global(&local))
                .flatten(),
            (Number::Local(_), Format::National) => self.normalise(text),
        }
    }

    /// Writes an E.164 number in `format`.
    #[must_use]
    pub fn write(&self, number: &str, format: Format) -> String {
        let digits = number.strip_prefix('+').unwrap_or(number);
        match format {
            Format::Plus => number.to_owned(),
            Format::Bare => digits.to_owned(),
            Format::National => {
                let country = self.country.as_deref();
                let own = country.and_then(|country| digits.strip_prefix(country));
                let own = own.map(|rest| format!("{}{rest}", self.national));
                // What begins as a number abroad would be called there, past the policy.
                match own {
                    Some(own) if !own.is_empty() && !self.begins_abroad(&own) => own,
                    Some(_) | None => {
                        format!("{}{digits}", self.abroad().next().unwrap_or(ABROAD))
                    }
                }
            }
        }
    }

    fn begins_abroad(&self, local: &str) -> bool {
        let mut prefixes = self.abroad().chain([ABROAD]);
        prefixes.any(|prefix| local.starts_with(prefix))
    }

    fn abroad(&self) -> impl Iterator<Item = &str> {
        let prefixes = self.international.iter().map(String::as_str);
        prefixes.filter(|prefix| !prefix.is_empty())
    }

    fn begins_national(&self, local: &str) -> bool {
        !self.national.is_empty()
            && self.national != "1"
            && local.starts_with(self.national.as_str())
    }
}

/// `+` and the digits, if that is a number.
fn global(digits: &str) -> Option<String> {
    let number = format!("+{digits}");
    is_e164(&number).then_some(number)
}

/// A plus and 2 to 15 digits, of which the first is not 0: no country's code begins so.
fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (2..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

/// The code that the countries of North America share.
const AMERICA: &str = "1";
/// What stands before a number abroad in most countries.
const ABROAD: &str = "00";
/// The fewest digits of a national number behind its prefix.
const MIN_NATIONAL: usize = 4;
/// The fewest digits that a trunk's number without a plus is taken for a global one.
const MIN_GLOBAL: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn america() -> Plan {
        Plan {
            country: Some("1".into()),
            international: vec!["011".into(), "00".into()],
            national: "1".into(),
            bare: 10,
        }
    }

    fn germany() -> Plan {
        Plan {
            country: Some("49".into()),
            international: vec!["00".into()],
            national: "0".into(),
            bare: 0,
        }
    }

    #[test]
    fn every_spelling_of_a_number_is_one_number() {
        let us = Some("+15551234567".to_owned());
        for text in [
            "+15551234567",
            "+1 (555) 123-4567",
            "15551234567",
            "5551234567",
            "555.123.4567",
            "0115551234567".replace("011555", "0111555").as_str(),
        ] {
            assert_eq!(america().normalise(text), us, "{text}");
        }
        let berlin = Some("+4930123456".to_owned());
        for text in [
            "+4930123456",
            "030123456",
            "004930123456",
            "030 12 34 56",
            "０３０123456",
        ] {
            assert_eq!(germany().normalise(text), berlin, "{text}");
        }
        assert_eq!(america().normalise("01144201234"), Some("+44201234".into()));
    }

    #[test]
    fn people_dial_as_their_own_country_does() {
        assert_eq!(Plan::in_country("1"), america());
        assert_eq!(Plan::in_country("49"), germany());
        assert_eq!(Plan::in_country("").normalise("030123456"), None);
        // Who lives elsewhere dials as there, whatever is said of this country.
        for (home, code, dialled, meant) in [
            (germany(), "1", "5551234567", "+15551234567"),
            (america(), "49", "030123456", "+4930123456"),
            (Plan::default(), "1", "5551234567", "+15551234567"),
        ] {
            let plan = home.of(Some(code));
            assert_eq!(plan.normalise(dialled).as_deref(), Some(meant));
        }
        let spain = Plan {
            bare: 9,
            national: String::new(),
            ..Plan::in_country("34")
        };
        let portugal = spain.of(Some("351"));
        assert_eq!(
            portugal.normalise("211234567"),
            Some("+351211234567".into())
        );
        assert_eq!(spain.of(None), spain);
    }

    #[test]
    fn what_is_no_global_number_stays_what_it_is() {
        for text in [
            "*97", "1001", "911", "0", "00", "juliet", "+0301234", "#31#1", "1234567", "",
        ] {
            assert_eq!(america().normalise(text), None, "{text}");
        }
        for text in ["123456", "110", "0110", "0012", "+", "0123"] {
            let found = germany().normalise(text);
            assert!(found.is_none() || text == "0012", "{text}: {found:?}");
        }
        assert_eq!(Plan::default().normalise("030123456"), None);
        assert_eq!(Plan::default().normalise("+4930"), Some("+4930".into()));
    }

    #[test]
    fn no_number_of_the_own_country_is_written_as_one_abroad() {
        let spain = Plan {
            country: Some("34".into()),
            national: String::new(),
            ..germany()
        };
        for (plan, number, written) in [
            (germany(), "+490441234567", "00490441234567"),
            (germany(), "+49000441234", "0049000441234"),
            (spain.clone(), "+340044123456", "00340044123456"),
            (spain, "+34", "0034"),
            (america(), "+10114412345", "10114412345"),
        ] {
            assert_eq!(plan.write(number, Format::National), written);
        }
    }

    #[test]
    fn trunks_write_and_read_their_own_way() {
        let (us, de) = (america(), germany());
        assert_eq!(us.write("+15551234567", Format::Plus), "+15551234567");
        assert_eq!(us.write("+15551234567", Format::Bare), "15551234567");
        assert_eq!(us.write("+15551234567", Format::National), "15551234567");
        assert_eq!(us.write("+4930123", Format::National), "0114930123");
        assert_eq!(de.write("+4930123", Format::National), "030123");
        assert_eq!(de.write("+1555", Format::National), "001555");
        assert_eq!(
            us.read("15551234567", Format::Bare),
            Some("+15551234567".into())
        );
        assert_eq!(us.read("15551234567", Format::Plus), None);
        assert_eq!(us.read("1001", Format::Bare), None);
        assert_eq!(
            de.read("030123456", Format::National),
            Some("+4930123456".into())
        );
        for (plan, number) in [
            (&us, "+15551234567"),
            (&us, "+4930123456"),
            (&de, "+4930123456"),
        ] {
            for format in [Format::Plus, Format::Bare, Format::National] {
                let written = plan.write(number, format);
                assert_eq!(
                    plan.read(&written, format).as_deref(),
                    Some(number),
                    "{written}"
                );
            }
        }
    }
}
