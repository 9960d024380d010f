//! What is sent to do harm, in the name of others.

use super::*;

/// Whoever forges an address cannot have its owner flooded, nor talked to at a port where nobody speaks SIP.
#[test]
fn a_stranger_hears_no_more_than_it_said_and_not_at_the_port_of_another_service() {
    let mut bench = Bench::with(|config| config.strangers.answer = true);
    let mut hear = |port: u16, text: &str| {
        let flow = udp([203, 0, 113, 9], port);
        bench
            .endpoint
            .handle_packet(flow, text.as_bytes(), bench.now);
        bench.transmits()
    };
    let short = message("a");
    let long = message("a").replace(
        "Call-ID",
        "User-Agent: some phone, of its many versions the newest\r\nSubject: x\r\nCall-ID",
    );
    assert_eq!(hear(5060, &short), []);
    let sent = hear(5060, &long);
    assert_eq!(answer(&sent[0]).status, Status::FORBIDDEN);
    assert!(sent[0].bytes.len() <= long.len(), "{}", sent[0].bytes.len());
    for low in [0, 7, 19, 53, 123, 1023] {
        assert_eq!(hear(low, &long), [], "{low}");
    }
    // Without rport it is the Via that names the port.
    let long = long.replace(";rport", "");
    assert_eq!(hear(5060, &long).len(), 1);
    assert_eq!(hear(5060, &long.replace("5062", "53")), []);
}
