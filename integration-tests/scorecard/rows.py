"""The scorecard's rows, in the order they are printed.

`whose` says which part of a SIP implementation the row is about. The agents add
no checks of their own, so in rows of the `user` kind an agent shows what its
stack leaves to the program above it; that is not by itself a fault of the stack.
"""

import dataclasses

import probes


@dataclasses.dataclass(frozen=True)
class Row:
    """`scenario` is a file of sipp/, `probe` a function of probes.py; a row with
    neither needs calls and is not run yet."""

    title: str
    expected: str
    whose: str
    scenario: str = ""
    probe: object = None


ROWS = [
    Row("MESSAGE", "2xx", "transaction", "message"),
    Row("OPTIONS", "200", "user", "options"),
    Row("To tag on final responses", "tag", "transaction", "to-tag"),
    Row("From, Call-ID, CSeq in the response", "unchanged", "transaction", probe=probes.copied_headers),
    Row("retransmitted request, same response", "same", "transaction", probe=probes.retransmission),
    Row("own MESSAGE unanswered: sent again after", "0.5, 1, 2, 4, 4 s", "transaction", probe=probes.own_schedule),
    Row("`From: <tel:...>`", "2xx", "grammar", "from-tel"),
    Row("`tel:` Request-URI", "a final answer", "grammar", "uri-tel"),
    Row("IPv6 references in headers", "2xx", "grammar", "ipv6"),
    Row("escaped quotes in a display name", "2xx", "grammar", "quoted-name"),
    Row("compact header names", "2xx", "grammar", probe=probes.compact_form),
    Row("folded header", "2xx", "grammar", probe=probes.folded_header),
    Row("bare LF line ends", "2xx", "grammar", probe=probes.lf_only),
    Row("Latin-1 byte in an early header", "2xx", "grammar", probe=probes.non_utf8_byte),
    Row("Latin-1 byte in front of the last Via", "Via kept", "grammar", probe=probes.non_utf8_between),
    Row("unknown method", "501 or 405", "grammar", "unknown-method"),
    Row("SIP/3.0", "505", "grammar", "version"),
    Row("unknown Request-URI scheme", "416", "grammar", "scheme"),
    Row("CSeq number out of range", "400", "grammar", "cseq-range"),
    Row("CSeq of another method", "400", "grammar", probe=probes.cseq_method),
    Row("no Call-ID", "400", "grammar", probe=probes.missing_call_id),
    Row("unknown option in Require", "420, Unsupported", "user", "require"),
    Row("Max-Forwards 0", "483", "user", "max-forwards"),
    Row("unknown content type", "415, Accept", "user", "content-type"),
    Row("BYE of no dialog", "481", "user", "in-dialog"),
    Row("stray CANCEL", "481", "transaction", "cancel"),
    Row("INVITE refused, ended by its ACK", "one final", "transaction", "invite-refused"),
    Row("TCP segments split in head and body", "2xx twice", "transport", probe=probes.tcp_split),
    Row("source that is not admitted", "silence", "transport", probe=probes.unknown_source),
    Row("30,000 mutated datagrams", "0 panics, answers", "grammar", probe=probes.mutated),
    Row("20,000 MESSAGEs, 200 at a time", "all answered", "transaction", probe=probes.flood),
    Row("INVITE, 180 with tag, 200, ACK, BYE", "call", "dialog"),
    Row("CANCEL of a ringing call", "487", "dialog"),
    Row("UPDATE and INFO in a call", "200", "dialog"),
    Row("BYE with a CSeq gap", "200", "dialog"),
    Row("Session-Expires: 90", "90 kept or refused", "dialog"),
    Row("digest, wrong password", "at most 2 rounds", "user"),
]
