use std::fmt::Write as _;

use super::client::{self, Client};
use super::server::{self, Server};
use super::*;
use super::{invite_client, invite_server};

fn row<S: std::fmt::Debug, I: std::fmt::Debug, O: std::fmt::Debug>(
    table: &mut String,
    before: S,
    input: I,
    after: S,
    out: &[O],
) {
    let outputs: Vec<_> = out.iter().map(|output| format!("{output:?}")).collect();
    let outputs = if outputs.is_empty() {
        "-".to_owned()
    } else {
        outputs.join(", ")
    };
    let _ = writeln!(table, "| {before:?} | {input:?} | {after:?} | {outputs} |");
}

const HEAD: &str = "| state | input | next | output |\n|---|---|---|---|\n";

#[test]
fn client_transitions() {
    let timers = Timers::default();
    let unreliable = client::Waiting {
        interval: Some(timers.t1),
    };
    let reliable = client::Waiting { interval: None };
    let states = [
        Client::Trying(unreliable),
        Client::Trying(reliable),
        Client::Proceeding(unreliable),
        Client::Proceeding(reliable),
        Client::Completed,
        Client::Terminated,
    ];
    let inputs = [
        client::Input::Provisional,
        client::Input::Final,
        client::Input::TimerE,
        client::Input::TimerF,
        client::Input::TimerK,
        client::Input::TransportFailed,
    ];
    let mut table = HEAD.to_owned();
    for state in states {
        for input in inputs {
            let mut out = Vec::new();
            row(
                &mut table,
                state,
                input,
                state.handle(input, &timers, &mut out),
                &out,
            );
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn server_transitions() {
    let timers = Timers::default();
    let mut table = HEAD.to_owned();
    for reliable in [false, true] {
        for state in [
            Server::Trying,
            Server::Proceeding,
            Server::Completed,
            Server::Terminated,
        ] {
            for input in [
                server::Input::Retransmission,
                server::Input::Provisional,
                server::Input::Final,
                server::Input::TimerJ,
                server::Input::TransportFailed,
            ] {
                let mut out = Vec::new();
                let after = state.handle(input, reliable, &timers, &mut out);
                row(&mut table, state, (input, reliable), after, &out);
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn invite_client_transitions() {
    use invite_client::{Client, Input};
    let timers = Timers::default();
    let calling = |interval, unwanted| Client::Calling { interval, unwanted };
    let states = [
        (calling(Some(timers.t1), false), false),
        (calling(Some(timers.t1), true), false),
        (calling(None, false), true),
        (Client::Proceeding, false),
        (Client::Proceeding, true),
        (Client::Cancelling, false),
        (Client::Completed, false),
        (Client::Accepted, false),
        (Client::Terminated, false),
    ];
    let inputs = [
        Input::Trying,
        Input::Provisional,
        Input::Success,
        Input::Refusal,
        Input::Cancel,
        Input::TimerA,
        Input::TimerB,
        Input::TimerC,
        Input::TimerD,
        Input::TimerM,
        Input::TransportFailed,
    ];
    let mut table = HEAD.to_owned();
    for (state, reliable) in states {
        for input in inputs {
            let mut out = Vec::new();
            let after = state.handle(input, reliable, &timers, &mut out);
            row(&mut table, state, (input, reliable), after, &out);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn invite_server_transitions() {
    use invite_server::{Input, Server};
    let timers = Timers::default();
    let completed = |interval| Server::Completed { interval };
    let states = [
        (Server::Trying, false),
        (Server::Trying, true),
        (Server::Proceeding, false),
        (Server::Proceeding, true),
        (completed(Some(timers.t1)), false),
        (completed(Some(timers.t2)), false),
        (completed(None), true),
        (Server::Confirmed, false),
        (Server::Accepted, false),
        (Server::Terminated, false),
    ];
    let inputs = [
        Input::Retransmission,
        Input::TimerTrying,
        Input::Provisional,
        Input::Success,
        Input::Refusal,
        Input::Ack,
        Input::TimerG,
        Input::TimerH,
        Input::TimerI,
        Input::TimerL,
    ];
    let mut table = HEAD.to_owned();
    for (state, reliable) in states {
        for input in inputs {
            let mut out = Vec::new();
            let after = state.handle(input, reliable, &timers, &mut out);
            row(&mut table, state, (input, reliable), after, &out);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn retransmissions_come_after_half_a_second_then_one_two_and_four() {
    let timers = Timers::default();
    let mut out = Vec::new();
    let mut machine = Client::start(false, &timers, &mut out);
    for _ in 0..5 {
        machine = machine.handle(client::Input::TimerE, &timers, &mut out);
    }
    let pauses: Vec<_> = out
        .iter()
        .filter_map(|output| {
            if let client::Output::ArmE(pause) = output {
                Some(pause.as_millis())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(pauses, [500, 1000, 2000, 4000, 4000, 4000]);
}
