//! SIP messages read back from the traces that phones and generators write.
//!
//! Invariant: a message still being written is not reported; it is there at the next look.

use crate::sip::Message;

/// Which way a traced message went, seen from the program that wrote the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It sent it.
    Sent,
    /// It received it.
    Received,
}

/// Reads all whole messages of a trace by baresip (`own` is its address), sipp or linphone.
pub fn read(trace: &[u8], own: &str) -> Vec<(Direction, Message)> {
    let mut messages = Vec::new();
    let mut rest = trace;
    while let Some((line, behind)) = split_line(rest) {
        rest = behind;
        let Some(direction) = direction_of(&String::from_utf8_lossy(line), own) else {
            continue;
        };
        // sipp leaves an empty line before the message.
        let start = behind
            .iter()
            .position(|byte| !byte.is_ascii_whitespace())
            .unwrap_or(behind.len());
        let Some(text) = behind.get(start..) else {
            continue;
        };
        if let Some((message, length)) = Message::split_first(text) {
            messages.push((direction, message));
            rest = text.get(length..).unwrap_or_default();
        }
    }
    messages
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn direction_of(line: &str, own: &str) -> Option<Direction> {
    if let Some((source, _)) = line.split_once(" -> ") {
        let source = ["UDP ", "TCP ", "TLS "]
            .iter()
            .find_map(|transport| source.strip_prefix(transport))?;
        return Some(if source == own {
            Direction::Sent
        } else {
            Direction::Received
        });
    }
    if line.contains("message sent (") || line.contains(": message sent to [") {
        Some(Direction::Sent)
    } else if line.contains("message received [") || line.contains(" new bytes from [") {
        Some(Direction::Received)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "SIP/2.0 200 OK\r\nCall-ID: a\r\nContent-Length: 2\r\n\r\nhi";

    fn directions(trace: &str) -> Vec<Direction> {
        read(trace.as_bytes(), "10.0.0.1:5060")
            .into_iter()
            .map(|(direction, _)| direction)
            .collect()
    }

    #[test]
    fn reads_a_phone() {
        let trace = format!(
            "x\n\u{1b}[36;1m#\nUDP 10.0.0.1:5060 -> 10.0.0.2:5060\n{OK}\u{1b}[;m\nTCP 10.0.0.2:1 -> 10.0.0.1:5060\n{OK}"
        );
        assert_eq!(directions(&trace), [Direction::Sent, Direction::Received]);
    }

    #[test]
    fn reads_a_generator() {
        let trace = format!(
            "--- date\nUDP message received [9] bytes :\n\n{OK}\n---\nUDP message sent (9 bytes):\n\n{OK}\n"
        );
        assert_eq!(directions(&trace), [Direction::Received, Direction::Sent]);
    }

    #[test]
    fn leaves_a_message_that_is_not_complete() {
        let trace = format!("UDP message sent (9 bytes):\n\n{OK}");
        assert_eq!(directions(&trace[..trace.len() - 1]), []);
    }
}
