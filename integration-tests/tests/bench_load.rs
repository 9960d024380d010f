//! The load on media proves itself: what a relay loses, spoils or says wrong is noticed, without Tandem.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::isolated;
use integration_tests::load::media::client::Client;
use integration_tests::load::media::line::{Line, Phone};
use integration_tests::load::media::path::Path;
use integration_tests::load::media::phones::Phones;
use integration_tests::load::media::protection::Protection;
use integration_tests::load::media::pump::{Outcome, Pump};
use integration_tests::load::media::report::Case;
use integration_tests::load::media::subject::Subject;

/// What a relay makes of every so many packets toward the phone.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Loses(u32),
    Spoils(u32),
    Repeats,
}

/// One call over a relay with that fault.
fn carry(fault: Fault, path: Path) -> Result<Outcome> {
    let phones = Phones::bind(path)?;
    let (inner, outer) = (
        UdpSocket::bind("127.0.0.1:0")?,
        UdpSocket::bind("127.0.0.1:0")?,
    );
    let mut client = Client::bind(0)?;
    client.remote = inner.local_addr()?;
    let (to_phone, to_client) = (phones.socket.local_addr()?, client.address);
    let phone = Phone {
        remote: outer.local_addr()?,
        protection: Protection::default(),
    };
    for (from, over, to, fault) in [
        (inner.try_clone()?, outer.try_clone()?, to_phone, fault),
        (outer, inner, to_client, Fault::None),
    ] {
        // It ends with the process of the test.
        thread::spawn(move || relay(&from, &over, to, fault));
    }
    let mut lines = [Line { client, phone }];
    Pump::new(path, &phones, &mut lines)?.run(Duration::from_secs(2))
}

fn relay(from: &UdpSocket, over: &UdpSocket, to: std::net::SocketAddr, fault: Fault) -> Result<()> {
    let (mut buffer, mut last) = (vec![0; 2048], Vec::new());
    for number in 1_u32.. {
        let (length, _) = from.recv_from(&mut buffer)?;
        let mut packet = buffer.get(..length).unwrap_or_default().to_vec();
        match fault {
            Fault::Loses(each) if number % each == 0 => continue,
            Fault::Spoils(each) if number % each == 0 => {
                packet.iter_mut().skip(100).for_each(|it| *it = 0)
            }
            Fault::Repeats if number > 1 => packet.clone_from(&last),
            Fault::None | Fault::Loses(_) | Fault::Spoils(_) | Fault::Repeats => {}
        }
        last.clone_from(&packet);
        over.send_to(&packet, to)?;
    }
    Ok(())
}

fn case(outcome: Outcome, path: Path) -> Case {
    Case {
        subject: Subject::Floor,
        path,
        calls: 1,
        outcome,
        cpu: Duration::from_millis(1),
        time: Duration::from_secs(1),
        load: Duration::ZERO,
        memory: 0.0,
    }
}

#[test]
fn a_relay_without_fault_carries_everything() -> Result<()> {
    isolated(|_| {
        let outcome = carry(Fault::None, Path::Plain)?;
        ensure!(
            outcome.sent == outcome.carried && outcome.loss() == 0.0,
            "{outcome:?}"
        );
        ensure!(outcome.latency.percentile(50).is_some());
        ensure!(case(outcome, Path::Plain).fault().is_none());
        Ok(())
    })
}

#[test]
fn lost_packets_are_counted() -> Result<()> {
    isolated(|_| {
        let outcome = carry(Fault::Loses(4), Path::Plain)?;
        let [sent, of_phone] = outcome.sent;
        let [carried, all] = outcome.carried;
        ensure!(carried == sent - sent / 4 && all == of_phone, "{outcome:?}");
        Ok(())
    })
}

#[test]
fn spoilt_packets_are_no_measurement() -> Result<()> {
    isolated(|_| {
        let outcome = carry(Fault::Spoils(10), Path::Plain)?;
        ensure!(outcome.spoilt > 0, "{outcome:?}");
        ensure!(case(outcome, Path::Plain).fault().is_some());
        Ok(())
    })
}

#[test]
fn another_sound_than_was_said_is_no_measurement() -> Result<()> {
    isolated(|_| {
        // Opus is said and PCMU expected, so nothing that comes out is the tone.
        let outcome = carry(Fault::Repeats, Path::Transcoded)?;
        ensure!(case(outcome, Path::Transcoded).fault().is_some());
        Ok(())
    })
}
