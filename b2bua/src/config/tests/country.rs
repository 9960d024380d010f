//! Countries: of the installation, of a trunk, of a user.

use super::*;
use crate::spelling::Spellings;
use crate::target::{Kind, find};
use tandem_shared::address::Address;

const PROVIDER: &str = "[[trunk]]\nname = \"r\"\nmatch = \"+*\"\nnext_hop = \"192.0.2.1\"\n";
const NUMBER: &str = "[[number]]\nnumber = \"+15551234567\"\njid = \"juliet@example.com\"\n";

#[test]
fn the_code_of_a_country_is_checked_wherever_one_is_named() {
    for code in ["+1", "01", "1234", "4 9", "x", "\u{661}"] {
        for (table, key) in [
            ("[numbering]\n", "numbering.country: "),
            (PROVIDER, "trunk \"r\": country: "),
            (NUMBER, "number.country: "),
        ] {
            let text = format!("{MINIMAL}{table}country = \"{code}\"\n");
            let error = read(&text).unwrap_err();
            assert!(
                error.contains(&format!("{key}must be the code of a country")),
                "{error}"
            );
        }
    }
    for rows in [PROVIDER, NUMBER] {
        let text = format!("{MINIMAL}{rows}country = \"\"\n");
        assert!(read(&text).is_err(), "{text}");
        read(&format!("{MINIMAL}{rows}country = \"972\"\n")).unwrap();
    }
    read(&format!("{MINIMAL}[numbering]\ncountry = \"\"\n")).unwrap();
}

#[test]
fn a_trunk_writes_and_reads_numbers_as_in_its_own_country() {
    let text = format!(
        "{MINIMAL}[numbering]\ncountry = \"1\"\n{PROVIDER}country = \"49\"\nnumber_format = \"national\"\n"
    );
    let trunks = read(&text).unwrap().trunks().unwrap();
    let (_, trunk) = trunks.iter().next().unwrap();
    assert_eq!(trunk.write_number("+4930123"), "030123");
    assert_eq!(trunk.read_number("030123").as_deref(), Some("+4930123"));
}

/// Who dials as in another country is judged by what that means there.
#[test]
fn a_user_dials_as_in_its_own_country() {
    let found = |country: &str, more: &str, dialled: &str| {
        let text = format!(
            "{MINIMAL}[numbering]\ncountry = \"1\"\n{more}{PROVIDER}{NUMBER}country = \"{country}\"\n"
        );
        let settings = settings(&read(&text).unwrap(), &[]);
        let from = Address::new("juliet", "example.com").unwrap();
        let to = Address::new(dialled, "sip.example.com").unwrap();
        let spellings = Spellings::default();
        find(Kind::Call, (&from, &to), 70, &spellings, &settings).map(|found| found.user)
    };
    let open = "[policy]\nallow = [\"+49*\"]\n";
    assert_eq!(found("49", open, "030123456"), Ok("+4930123456".to_owned()));
    // Not open, and dear at home.
    assert!(found("49", "", "030123456").is_err());
    assert!(found("1", "", "9005551234").is_err());
    assert_eq!(found("1", "", "5551234567"), Ok("+15551234567".to_owned()));
}
