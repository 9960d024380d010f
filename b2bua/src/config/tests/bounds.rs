//! Numbers that would stop the process, or what it is for.

use super::*;

const LIMITS: &str = "[limits]\n";
const CALL: &str = "[call]\n";
const MEDIA: &str = "[media]\n";
const MESSAGE: &str = "[message]\n";
const STRANGERS: &str = "[strangers]\n";

#[test]
fn numbers_have_bounds() {
    for (table, key, least, most) in [
        (LIMITS, "connections", 1, 10_000_000),
        (LIMITS, "connections_per_source", 1, 10_000_000),
        (LIMITS, "first_message", 1, 3600),
        (LIMITS, "transactions", 1, 10_000_000),
        (LIMITS, "answered", 1, 10_000_000),
        (STRANGERS, "ban_for", 1, 31_536_000),
        (CALL, "max", 0, 10_000_000),
        (CALL, "longest", 0, 31_536_000),
        (CALL, "session_expires", 90, 86_400),
        (MEDIA, "connect", 1, 86_400),
        (MEDIA, "silence", 1, 86_400),
        (MEDIA, "hold_silence", 1, 86_400),
        (MEDIA, "threads", 0, 1024),
        (MESSAGE, "retry_for", 0, 86_400),
        (MESSAGE, "queue_per_destination", 1, 10_000_000),
        (MESSAGE, "queue_total", 1, 10_000_000),
        (MESSAGE, "pending_max", 1, 10_000_000),
        ("[numbering]\n", "bare_digits", 0, 15),
        (
            "[[trunk]]\nname = \"r\"\nmatch = \"+*\"\nnext_hop = \"h\"\n",
            "channels",
            0,
            10_000_000,
        ),
    ] {
        let said = |value: u64| {
            // Each thread wants a port of its own, unless the system chooses them.
            let ports = match key {
                "threads" => "port = 0\n",
                _ => "",
            };
            read(&format!("{MINIMAL}{table}{ports}{key} = {value}\n")).map(drop)
        };
        for good in [least, most] {
            assert_eq!(said(good), Ok(()), "{table}{key} = {good}");
        }
        let below = [least.checked_sub(1)].into_iter().flatten();
        for bad in below.chain([most + 1, u64::MAX / 2]) {
            let words = said(bad).unwrap_err();
            assert!(words.contains(&format!("{key}: ")), "{bad}: {words}");
        }
    }
}
