//! Z05, Z06, T13, T14: connections that say nothing, or hardly anything, floods of strangers and of trunks gone mad hold up
//! nobody, and what they cost is bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::certificates::make;
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::process::Holdings;
use integration_tests::rtp::media_address;
use integration_tests::sip::{Agent, Draft, Path};
use integration_tests::tandem::{Trunk, with_tandem_within};
use integration_tests::{Bench, wait};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::scene::{LIMIT, SOUND, Scene, provider};

/// Where streams are heard: in the clear, over TLS, and as WebSocket.
const STREAMS: [&str; 3] = [GATEWAY, "127.0.0.1:5061", "127.0.0.1:5062"];
/// A customer of the trunk's, who may connect and has gone mad.
const MAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 21);
/// Nobody knows it.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// `connections_per_source`.
const MOST: usize = 8;
/// Connections one source opens at once.
const OPENED: usize = 60;

fn open(bench: &Bench) -> Result<Scene> {
    let certificate = make(bench, &["gateway.test"])?;
    let more = format!(
        "[[listen]]\ntransport = \"tls\"\naddress = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n\
         [[listen]]\ntransport = \"ws\"\naddress = \"{}\"\n\
         [limits]\nconnections_per_source = {MOST}\nfirst_message = 3\n",
        STREAMS[1],
        certificate.certificate.display(),
        certificate.key.display(),
        STREAMS[2]
    );
    let trunk = Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1", "127.0.0.21"],
        ..provider()
    };
    Scene::open(bench, vec![trunk], &more)
}

/// A connection from `source`.
fn dial(source: Ipv4Addr, to: &str) -> Result<TcpStream> {
    let to: SocketAddr = to.parse()?;
    let SocketAddr::V4(to) = to else {
        anyhow::bail!("{to} is no IPv4 address");
    };
    let made: OwnedFd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    bind(
        made.as_raw_fd(),
        &SockaddrIn::from(SocketAddrV4::new(source, 0)),
    )?;
    connect(made.as_raw_fd(), &SockaddrIn::from(to))?;
    let stream = TcpStream::from(made);
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Whether the other end has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut some = [0; 64];
    match stream.read(&mut some) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Waits until at most `most` of them are open.
fn wait_closed(streams: &mut Vec<TcpStream>, most: usize) -> Result<()> {
    wait::until(
        &format!("no more than {most} connections"),
        wait::GENEROUS,
        || {
            streams.retain_mut(|stream| !is_closed(stream));
            Ok((streams.len() <= most).then_some(()))
        },
    )
}

fn expect_bounded(before: Holdings, now: Holdings, files: usize) -> Result<()> {
    ensure!(now.files <= before.files + files, "{before:?} {now:?}");
    ensure!(now.memory < before.memory + MEMORY, "{before:?} {now:?}");
    Ok(())
}

/// What is said on a connection before nothing more is: nothing, half a handshake, half a request.
const BEGINNINGS: [&[u8]; 4] = [
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"MESSAGE sip:+15550001000@x SIP/2.0\r\nVia: SIP/2.0/TCP x\r\nContent-Length: 60000\r\n\r\n",
    b"GET /sip HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX: ",
];

#[test]
fn connections_that_say_nothing_hold_up_nobody() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = open(bench)?;
        scene.write("+15559001", "before")?;
        let before = scene.tandem.borrow().b2bua.holdings()?;
        for (at, beginning) in BEGINNINGS.iter().enumerate() {
            let mut streams = Vec::new();
            for to in STREAMS.iter().cycle().take(OPENED) {
                let mut stream = dial(MAD, to)?;
                // One that is closed at once may say so already.
                let _ = stream.write_all(beginning);
                streams.push(stream);
            }
            wait_closed(&mut streams, MOST)?;
            let now = scene.tandem.borrow().b2bua.holdings()?;
            expect_bounded(before, now, MOST + OWN)?;
            // Others are served meanwhile, over each transport.
            scene.write("+15559001", &format!("meanwhile {at}"))?;
            let draft = Draft::new("OPTIONS", "sip:127.0.0.1");
            let answer = scene.network.ask(&draft, &scene.network.tcp_to(GATEWAY)?)?;
            ensure!(answer.status() == Some(200), "{answer}");
            // And nobody waits for those for ever.
            wait_closed(&mut streams, 0)?;
        }
        // One byte after the other: each is a sign of life, and none of them counts.
        let mut slow = dial(MAD, GATEWAY)?;
        let request =
            b"MESSAGE sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bKslow\r\nSubject: ".iter();
        let mut drops = request.chain(b"x".iter().cycle());
        wait::until("the end of who is slow", wait::GENEROUS, || {
            sleep(DRIP);
            let wrote = slow.write_all(&[*drops.next().context("endless")?]);
            Ok((wrote.is_err() || is_closed(&mut slow)).then_some(()))
        })?;
        let now = scene.tandem.borrow().b2bua.holdings()?;
        expect_bounded(before, now, OWN)?;
        scene.write("+15559001", "after")?;
        // Of one source most were closed at once, not when their time was over.
        let log = scene.end(&[])?;
        let counts = log.rsplit("counts since the start").next();
        let closed = counts.and_then(|line| line.split("connections: ").nth(1));
        let closed = closed.and_then(|text| text.split(|c: char| !c.is_ascii_digit()).next());
        let closed: usize = closed.context("no counts")?.parse()?;
        ensure!(closed >= BEGINNINGS.len() * OPENED / 2, "{closed}");
        Ok(())
    })
}

#[test]
fn strangers_are_not_even_listened_to() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = open(bench)?;
        scene.write("+15559001", "before")?;
        let before = scene.tandem.borrow().b2bua.holdings()?;
        let call = scene.call_out("+15559001")?;
        let during = scene.tandem.borrow().b2bua.holdings()?;
        let mut streams = Vec::new();
        for to in STREAMS.iter().cycle().take(600) {
            let mut stream = dial(STRANGER, to)?;
            let _ = stream.write_all(b"OPTIONS sip:x SIP/2.0\r\n\r\n");
            streams.push(stream);
        }
        let agent = Agent::bind("127.0.0.66:5060")?;
        let path = agent.udp_to(GATEWAY)?;
        let request = Draft::new("INVITE", "sip:+15550001000@x").with("X", &"x".repeat(8000));
        let request = request.to_bytes(&path);
        // Its sound goes to a port of ours, which is no secret to who looks on.
        let port = media_address(&call.dialog.description).context("no media address")?;
        let noise = UdpSocket::bind("127.0.0.66:0")?;
        let mut packet = [0x55; 172];
        packet[..12].copy_from_slice(&[0x80, 8, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9]);
        for number in 0..5000_u16 {
            path.send(&request)?;
            packet[2..4].copy_from_slice(&number.to_be_bytes());
            noise.send_to(&packet, port)?;
            noise.send_to(&[number.to_be_bytes()[1]; 1200], port)?;
        }
        wait_closed(&mut streams, 0)?;
        agent.expect_none("an answer", |_| true)?;
        scene.both_hear(&call)?;
        let now = scene.tandem.borrow().b2bua.holdings()?;
        expect_bounded(during, now, OWN)?;
        scene.write("+15559001", "after")?;
        scene.hang_up(call)?;
        scene.tandem.borrow_mut().wait_no_calls()?;
        let after = scene.tandem.borrow().b2bua.holdings()?;
        expect_bounded(before, after, OWN)?;
        scene.close(&[])
    })
}

/// Two trunks: that of the network, and one gone mad.
fn open_beside_mad(bench: &Bench) -> Result<Scene> {
    let own = Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1"],
        ..provider()
    };
    let mad = Trunk {
        name: "mad",
        matches: "*@mad.test",
        next_hop: "127.0.0.21:5060",
        inbound: vec!["127.0.0.21"],
        ..Trunk::default()
    };
    let more = "[limits]\ntransactions = 500\nanswered = 500\n[message]\npending_max = 50\n[call]\nmax = 20\nring = 5\n";
    Scene::open(bench, vec![own, mad], more)
}

/// One of the things it sends: all for `user`, who is away, none ever acknowledged.
fn rave(number: usize, user: &str, path: &Path) -> Vec<u8> {
    let invite = || Draft::new("INVITE", user).with("Contact", "<sip:mad@127.0.0.21:5060>");
    let draft = match number % 8 {
        0 => Draft::message(user, "sip:x@mad.test", &format!("mad {number}")),
        1 => Draft::new("OPTIONS", user),
        2 => Draft::new("BYE", user).with("To", "<sip:x@mad.test>;tag=x"),
        3 => Draft::new("REGISTER", user),
        4 => invite().with("X", &"x".repeat(8000)),
        5 => Draft::new("SUBSCRIBE", user).without("CSeq"),
        _ => invite().with_body("application/sdp", SOUND.as_bytes()),
    };
    draft.to_bytes(path)
}

/// sipp -r 2000 and worse, in the name of a trunk: who comes by another one is served, and what it costs is bounded.
#[test]
fn a_trunk_gone_mad_holds_up_nobody() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = open_beside_mad(bench)?;
        scene.write("+15559001", "before")?;
        let before = scene.tandem.borrow().b2bua.holdings()?;
        let agent = Agent::bind("127.0.0.21:5060")?;
        let path = agent.udp_to(GATEWAY)?;
        let (server, number) = (scene.server, AtomicUsize::new(0));
        let away = format!("sip:bob%40{}@{}", server.domain(), server.gateway());
        let is_over = AtomicBool::new(false);
        let flood = || -> Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    path.send(&rave(number.fetch_add(1, Ordering::Relaxed), &away, &path))?;
                }
                sleep(BREATH);
            }
            Ok(())
        };
        let serve = || -> Result<()> {
            wait::until("a flood", LIMIT, || {
                Ok((number.load(Ordering::Relaxed) > FLOOD).then_some(()))
            })?;
            scene.write("+15559001", "out")?;
            let to = format!("sip:+15550001000@{}", server.gateway());
            let draft = Draft::message(&to, "sip:+15559001@network.test", "in");
            let answer = scene.network.ask(&draft, &scene.network.udp_to(GATEWAY)?)?;
            ensure!(answer.status() == Some(202), "{answer}");
            scene
                .alice
                .expect("the text", |stanza| stanza.body() == Some("in"))?;
            scene.hang_up(scene.call_out("+15559002")?)?;
            scene.hang_up(scene.call_in(GATEWAY)?)
        };
        thread::scope(|scope| {
            let flood = scope.spawn(flood);
            let served = serve();
            is_over.store(true, Ordering::Relaxed);
            let flooded = flood.join();
            served?;
            flooded.map_err(|_| anyhow::anyhow!("the flood broke off"))?
        })?;
        scene.tandem.borrow_mut().wait_no_calls()?;
        let after = scene.tandem.borrow().b2bua.holdings()?;
        expect_bounded(before, after, OWN)
    })
}

/// Packets of a flood before anybody else comes: more than all tables hold.
const FLOOD: usize = 8000;
/// Between twenty packets and the next twenty.
const BREATH: Duration = Duration::from_millis(5);
/// Connections of those who are served meanwhile.
const OWN: usize = 4;
/// What a flood may leave behind, in bytes.
const MEMORY: u64 = 8 * 1024 * 1024;
/// How long a slow client takes for a byte.
const DRIP: Duration = Duration::from_millis(100);
