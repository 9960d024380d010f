//! Who begins the DTLS handshake (RFC 4145, RFC 5763).

use tandem_shared::media::Setup;

/// Our role in an answer. A connection that goes on keeps its roles; `kept` is the other side's, `wish`
/// ours where the offer leaves it open.
pub(super) fn answer(offered: Option<Setup>, kept: Option<Setup>, wish: Setup) -> Setup {
    match offered {
        Some(Setup::Passive) => Setup::Active,
        // Who says nothing in an offer is active (RFC 4145).
        Some(Setup::Active) | None => Setup::Passive,
        Some(Setup::Actpass | Setup::Holdconn) => match kept {
            Some(Setup::Active) => Setup::Passive,
            Some(Setup::Passive) => Setup::Active,
            Some(Setup::Actpass | Setup::Holdconn) | None => wish,
        },
    }
}

/// The other side's role after its answer to our `actpass`.
pub(super) fn accepted(answered: Option<Setup>, kept: Option<Setup>) -> Setup {
    match answered {
        Some(Setup::Active) => Setup::Active,
        Some(Setup::Passive) => Setup::Passive,
        // COMPAT(several): an answer that leaves it open comes from who begins anyway.
        Some(Setup::Actpass | Setup::Holdconn) | None => kept.unwrap_or(Setup::Active),
    }
}

/// The other role.
pub(super) fn reversed(role: Setup) -> Setup {
    match role {
        Setup::Active => Setup::Passive,
        Setup::Passive => Setup::Active,
        Setup::Actpass | Setup::Holdconn => role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const ALL: [Option<Setup>; 5] = [
        None,
        Some(Setup::Active),
        Some(Setup::Passive),
        Some(Setup::Actpass),
        Some(Setup::Holdconn),
    ];

    #[test]
    fn roles() {
        let mut table = String::from(
            "| other side says | it is now | we answer, wishing to begin | wishing to wait | it becomes |\n",
        );
        for said in ALL {
            for kept in [None, Some(Setup::Active), Some(Setup::Passive)] {
                let [begin, wait] =
                    [Setup::Active, Setup::Passive].map(|it| answer(said, kept, it));
                let theirs = accepted(said, kept);
                let _ = writeln!(
                    table,
                    "| {said:?} | {kept:?} | {begin:?} | {wait:?} | {theirs:?} |"
                );
            }
        }
        insta::assert_snapshot!(table);
    }
}
