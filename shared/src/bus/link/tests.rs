use super::*;

fn start() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    Instant::now()
}

fn link(name: &str, epoch: u64, domain: &str) -> Link {
    let mapping = BTreeMap::from([("mapping.domain".to_owned(), domain.to_owned())]);
    Link::new(NodeId(name.into()), epoch, mapping)
}

/// Carries everything both ends say until they are silent; returns what each was told.
fn settle(a: &mut Link, b: &mut Link, now: Instant) -> (Vec<Output>, Vec<Output>) {
    let (mut told_a, mut told_b) = (Vec::new(), Vec::new());
    loop {
        let mut quiet = true;
        while let Some(output) = a.poll_output() {
            quiet = false;
            match output {
                Output::Send(envelope) => assert_eq!(b.handle_envelope(*envelope, now), None),
                other @ (Output::Up(_) | Output::Lost(_) | Output::Close(_)) => told_a.push(other),
            }
        }
        while let Some(output) = b.poll_output() {
            quiet = false;
            match output {
                Output::Send(envelope) => assert_eq!(a.handle_envelope(*envelope, now), None),
                other @ (Output::Up(_) | Output::Lost(_) | Output::Close(_)) => told_b.push(other),
            }
        }
        if quiet {
            return (told_a, told_b);
        }
    }
}

#[test]
fn two_ends_that_fit_come_up_once() {
    let now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "x"));
    a.handle_connected(now);
    b.handle_connected(now);
    let (told_a, told_b) = settle(&mut a, &mut b, now);
    assert_eq!(told_a, [Output::Up(NodeId("b".into()))]);
    assert_eq!(told_b, [Output::Up(NodeId("a".into()))]);
}

#[test]
fn differing_mappings_close_the_link_and_name_the_keys() {
    let now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "y"));
    a.handle_connected(now);
    b.handle_connected(now);
    let (told_a, told_b) = settle(&mut a, &mut b, now);
    let expected = [Output::Close(Some(Mismatch::Mapping(vec![
        "mapping.domain".into(),
    ])))];
    assert_eq!(told_a, expected);
    assert_eq!(told_b, expected);
    assert_eq!(a.poll_timeout(), Some(now + RETRY));
    // The transport is back at once; nothing is said before the time, and then nothing new.
    for end in [&mut a, &mut b] {
        end.handle_disconnected();
        end.handle_connected(now);
    }
    assert_eq!(settle(&mut a, &mut b, now), (vec![], vec![]));
    let later = now + RETRY;
    a.handle_timeout(later);
    b.handle_timeout(later);
    let (told_a, told_b) = settle(&mut a, &mut b, later);
    assert_eq!(
        (told_a, told_b),
        (vec![Output::Close(None)], vec![Output::Close(None)])
    );
}

#[test]
fn a_lost_hello_is_said_again() {
    let now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "x"));
    a.handle_connected(now);
    b.handle_connected(now);
    while a.poll_output().is_some() {}
    while b.poll_output().is_some() {}
    let later = now + HEARTBEAT;
    a.handle_timeout(later);
    let (told_a, told_b) = settle(&mut a, &mut b, later);
    assert_eq!((told_a.len(), told_b.len()), (1, 1));
    assert!(a.is_up() && b.is_up());
}

#[test]
fn silence_loses_the_peer_and_a_new_run_of_it_comes_up_again() {
    let now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "x"));
    a.handle_connected(now);
    b.handle_connected(now);
    settle(&mut a, &mut b, now);
    a.handle_timeout(now + DEAD);
    assert_eq!(a.poll_output(), Some(Output::Lost(NodeId("b".into()))));
    while a.poll_output().is_some() {}
    let mut b = link("b", 2, "x");
    b.handle_connected(now + DEAD);
    let (told_a, _) = settle(&mut a, &mut b, now + DEAD);
    assert_eq!(told_a, [Output::Up(NodeId("b".into()))]);
}

#[test]
fn a_peer_that_lost_us_alone_is_lost_and_comes_up_again() {
    let now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "x"));
    a.handle_connected(now);
    b.handle_connected(now);
    settle(&mut a, &mut b, now);
    // Our heartbeats reached the peer too late; it drops what comes until it has greeted again.
    let later = now + DEAD;
    b.handle_timeout(later);
    let (told_a, told_b) = settle(&mut a, &mut b, later);
    let (there, here) = (NodeId("b".into()), NodeId("a".into()));
    assert_eq!(told_a, [Output::Lost(there.clone()), Output::Up(there)]);
    assert_eq!(told_b, [Output::Lost(here.clone()), Output::Up(here)]);
}

#[test]
fn heartbeats_keep_a_quiet_link() {
    let mut now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "x"));
    a.handle_connected(now);
    b.handle_connected(now);
    settle(&mut a, &mut b, now);
    for _ in 0..20 {
        now = a.poll_timeout().unwrap().min(b.poll_timeout().unwrap());
        a.handle_timeout(now);
        b.handle_timeout(now);
        assert_eq!(settle(&mut a, &mut b, now), (vec![], vec![]));
    }
}

#[test]
fn what_an_earlier_run_said_is_not_delivered() {
    let now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "x"));
    a.handle_connected(now);
    b.handle_connected(now);
    settle(&mut a, &mut b, now);
    let mut stale = *b.envelope(SessionId::control(), Event::Unknown("x".into()));
    assert!(a.handle_envelope(stale.clone(), now).is_some());
    stale.epoch = 0;
    assert_eq!(a.handle_envelope(stale, now), None);
}

#[test]
fn goodbye_loses_the_peer_at_once() {
    let now = start();
    let (mut a, mut b) = (link("a", 1, "x"), link("b", 1, "x"));
    a.handle_connected(now);
    b.handle_connected(now);
    settle(&mut a, &mut b, now);
    b.say_goodbye();
    let (told_a, _) = settle(&mut a, &mut b, now);
    assert_eq!(told_a, [Output::Lost(NodeId("b".into()))]);
}
