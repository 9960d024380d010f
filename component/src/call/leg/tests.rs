use super::*;
use std::fmt::Write as _;

const STATES: [State; 15] = [
    State::Proposed,
    State::Proceeded,
    State::Lapsed,
    State::Offered(Way::Proposed),
    State::Offered(Way::Direct),
    State::Choosing,
    State::Proposing,
    State::Rung,
    State::Taken(Way::Proposed),
    State::Taken(Way::Direct),
    State::Initiated(Way::Proposed),
    State::Initiated(Way::Direct),
    State::Active(Way::Proposed),
    State::Active(Way::Direct),
    State::Ended,
];

const INPUTS: [Input; 17] = [
    Input::Initiate,
    Input::Accept,
    Input::Ringing,
    Input::Proceed,
    Input::Reject,
    Input::Retract,
    Input::Finish,
    Input::Terminate,
    Input::Bounce,
    Input::Choose(Way::Proposed),
    Input::Choose(Way::Direct),
    Input::FarRinging,
    Input::FarReady,
    Input::FarOffer,
    Input::FarAnswer,
    Input::FarEnd,
    Input::Fail,
];

#[test]
fn transitions() {
    let mut table = "| state | input | next | output |\n|---|---|---|---|\n".to_owned();
    for state in STATES {
        for input in INPUTS {
            let mut out = Vec::new();
            let next = state.handle(input, &mut out);
            if next == state && out.is_empty() {
                continue;
            }
            let said: Vec<_> = out.iter().map(|output| format!("{output:?}")).collect();
            let _ = writeln!(
                table,
                "| {state:?} | {input:?} | {next:?} | {} |",
                said.join(", ")
            );
        }
        let ignored = |input: &&Input| {
            let mut out = Vec::new();
            state.handle(**input, &mut out) == state && out.is_empty()
        };
        let ignored: Vec<_> = INPUTS
            .iter()
            .filter(ignored)
            .map(|input| format!("{input:?}"))
            .collect();
        let _ = writeln!(
            table,
            "| {state:?} | {} | {state:?} | - |",
            ignored.join(", ")
        );
    }
    insta::assert_snapshot!(table);
}

/// Whatever happens, SIP hears of every end it did not make itself, exactly once, and the user of
/// every end that is not its own doing.
#[test]
fn both_sides_hear_of_every_end() {
    let by_user = |input| {
        matches!(
            input,
            Input::Retract | Input::Finish | Input::Reject | Input::Terminate | Input::Bounce
        )
    };
    for state in STATES {
        for input in INPUTS {
            let mut out = Vec::new();
            let next = state.handle(input, &mut out);
            let told = out
                .iter()
                .filter(|output| **output == Output::PublishEnd)
                .count();
            let ended = next == State::Ended && state != State::Ended;
            // SIP ended a lapsed leg before.
            let expected = ended && input != Input::FarEnd && state != State::Lapsed;
            assert_eq!(told, usize::from(expected), "{state:?} {input:?}");
            if ended && !by_user(input) && state != State::Lapsed {
                let closed = |closer| out.contains(closer);
                assert!(state.closers().iter().all(closed), "{state:?} {input:?}");
            }
        }
    }
}
