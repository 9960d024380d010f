//! One contract, every transport of the bus.
#![cfg(feature = "transport")]
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tandem_shared::bus::local::Local;
use tandem_shared::bus::{
    Bus, Envelope, Incoming, NodeId, QUEUE, SendError, SessionId, VERSION, memory,
};
use tandem_shared::event::{Control, Event};

fn envelope(number: u64) -> Envelope {
    Envelope {
        version: VERSION,
        from: NodeId("a".into()),
        to: NodeId("b".into()),
        epoch: number,
        session: SessionId::control(),
        event: Event::Control(Control::Heartbeat),
    }
}

fn large(bytes: usize) -> Envelope {
    Envelope {
        event: Event::Unknown("x".repeat(bytes)),
        ..envelope(0)
    }
}

/// Receives until `count` envelopes have come; other news is passed over.
async fn receive(bus: &mut impl Bus, count: usize) -> Vec<Envelope> {
    let mut got = Vec::new();
    while got.len() < count {
        let mut incoming = Vec::new();
        bus.recv(&mut incoming, 64).await;
        got.extend(incoming.into_iter().filter_map(|item| match item {
            Incoming::Envelope(envelope) => Some(*envelope),
            Incoming::Connected | Incoming::Disconnected => None,
        }));
    }
    got
}

async fn expect_news(bus: &mut impl Bus, news: Incoming) {
    loop {
        let mut incoming = Vec::new();
        bus.recv(&mut incoming, 64).await;
        if incoming.contains(&news) {
            return;
        }
    }
}

async fn connect(a: &mut impl Bus, b: &mut impl Bus) {
    tokio::join!(
        expect_news(a, Incoming::Connected),
        expect_news(b, Incoming::Connected)
    );
}

async fn keeps_order_both_ways(mut a: impl Bus, mut b: impl Bus) {
    connect(&mut a, &mut b).await;
    for number in 0..500 {
        a.send(&envelope(number)).unwrap();
        b.send(&envelope(1000 + number)).unwrap();
    }
    let (at_b, ()) = tokio::join!(receive(&mut b, 500), a.flush());
    assert_eq!(
        at_b.iter().map(|e| e.epoch).collect::<Vec<_>>(),
        (0..500).collect::<Vec<_>>()
    );
    let (at_a, ()) = tokio::join!(receive(&mut a, 500), b.flush());
    assert_eq!(
        at_a.iter().map(|e| e.epoch).collect::<Vec<_>>(),
        (1000..1500).collect::<Vec<_>>()
    );
}

async fn refuses_when_full_and_recovers(mut a: impl Bus, mut b: impl Bus) {
    connect(&mut a, &mut b).await;
    let mut taken = 0;
    while a.send(&envelope(taken)).is_ok() {
        taken += 1;
        assert!(taken <= QUEUE as u64, "the queue has no bound");
    }
    assert_eq!(a.room(), 0);
    assert_eq!(a.send(&envelope(0)), Err(SendError::Full));
    let (got, ()) = tokio::join!(receive(&mut b, usize::try_from(taken).unwrap()), a.flush());
    assert_eq!(got.len() as u64, taken);
    a.send(&envelope(7)).unwrap();
    let (got, ()) = tokio::join!(receive(&mut b, 1), a.flush());
    assert_eq!(got[0].epoch, 7);
}

async fn says_when_the_peer_goes(mut a: impl Bus, mut b: impl Bus) {
    connect(&mut a, &mut b).await;
    b.close();
    drop(b);
    expect_news(&mut a, Incoming::Disconnected).await;
    assert_eq!(a.send(&envelope(1)), Err(SendError::NotConnected));
    assert_eq!(a.room(), 0);
}

fn socket() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("tandem-bus-{}-{number}.sock", std::process::id()))
}

fn local() -> (Local, Local) {
    let path = socket();
    (Local::listen(&path).unwrap(), Local::dial(&path))
}

macro_rules! contract {
    ($($name:ident)*) => { $(
        mod $name {
            #[tokio::test]
            async fn memory() {
                let (a, b) = super::memory::pair();
                super::super::$name(a, b).await;
            }
            #[tokio::test]
            async fn local() {
                let (a, b) = super::local();
                super::super::$name(a, b).await;
            }
            #[tokio::test]
            async fn local_from_the_dialling_end() {
                let (a, b) = super::local();
                super::super::$name(b, a).await;
            }
        }
    )* };
}

mod contract {
    use super::{local, memory};
    contract! { keeps_order_both_ways refuses_when_full_and_recovers says_when_the_peer_goes }
}

#[tokio::test]
async fn local_ends_come_up_in_either_order_and_come_back() {
    let path = socket();
    let mut b = Local::dial(&path);
    let mut nothing = Vec::new();
    let early = tokio::time::timeout(
        std::time::Duration::from_millis(50),
        b.recv(&mut nothing, 1),
    );
    assert!(early.await.is_err());
    let mut a = Local::listen(&path).unwrap();
    connect(&mut a, &mut b).await;
    drop(b);
    expect_news(&mut a, Incoming::Disconnected).await;
    let mut b = Local::dial(&path);
    connect(&mut a, &mut b).await;
    drop(a);
    expect_news(&mut b, Incoming::Disconnected).await;
    let mut a = Local::listen(&path).unwrap();
    connect(&mut a, &mut b).await;
}

#[tokio::test]
async fn the_local_socket_is_private_and_not_shared() {
    use std::os::unix::fs::PermissionsExt;
    let path = socket();
    let _a = Local::listen(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        Local::listen(&path).unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
}

#[tokio::test]
async fn the_local_socket_takes_the_place_of_no_file() {
    let path = socket();
    std::fs::write(&path, "the database").unwrap();
    let kind = Local::listen(&path).map(drop).map_err(|error| error.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::AlreadyExists));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "the database");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn large_envelopes_pass_while_both_ends_write() {
    let (mut a, mut b) = local();
    connect(&mut a, &mut b).await;
    for _ in 0..3 {
        a.send(&large(500_000)).unwrap();
        b.send(&large(500_000)).unwrap();
    }
    tokio::join!(a.flush(), b.flush());
    assert_eq!(a.send(&large(2_000_000)), Err(SendError::TooLarge));
    assert_eq!(receive(&mut a, 3).await.len(), 3);
    assert_eq!(receive(&mut b, 3).await.len(), 3);
}

#[tokio::test]
async fn garbage_ends_the_link_and_nothing_else() {
    use tokio::io::AsyncWriteExt;
    let path = socket();
    let mut a = Local::listen(&path).unwrap();
    let mut raw = tokio::net::UnixStream::connect(&path).await.unwrap();
    raw.write_all(&[0, 0, 0, 2, b'{', b'x']).await.unwrap();
    expect_news(&mut a, Incoming::Disconnected).await;
    let mut b = Local::dial(&path);
    connect(&mut a, &mut b).await;
}
