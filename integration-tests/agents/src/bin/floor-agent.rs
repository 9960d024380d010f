//! The least a SIP answer can cost: one datagram in, one out, nothing understood.
//!
//! The start line is exchanged and the header lines go back as they came. No
//! grammar, no transactions, no memory of anything; measurements use it to tell
//! the price of a stack from the price of the system calls.

use std::net::UdpSocket;

use anyhow::bail;
use tandem_agents::{Command, parse_args};

const STATUS_LINE: &[u8] = b"SIP/2.0 202 Accepted";

fn main() -> anyhow::Result<()> {
    let Command::Serve { listen, allow: _ } = parse_args(std::env::args().skip(1))?.command else {
        bail!("the floor only serves");
    };
    let socket = UdpSocket::bind(listen)?;
    let mut request = vec![0; 65_535];
    let mut response = Vec::with_capacity(request.len());
    loop {
        let (length, source) = socket.recv_from(&mut request)?;
        if let Some(head) = request.get(..length).and_then(head_behind_start_line) {
            response.clear();
            response.extend_from_slice(STATUS_LINE);
            response.extend_from_slice(head);
            // A lost answer is the sender's to notice.
            let _ = socket.send_to(&response, source);
        }
    }
}

fn head_behind_start_line(message: &[u8]) -> Option<&[u8]> {
    let begin = message.windows(2).position(|pair| pair == b"\r\n")?;
    let end = message.windows(4).position(|four| four == b"\r\n\r\n")?;
    message.get(begin..end + 4)
}
