use std::fmt::Write as _;

use super::*;
use crate::sip::session::exchange::{Exchange, Step};
use crate::sip::session::refresh;

#[test]
fn usage_transitions() {
    let states = [
        Usage::Calling,
        Usage::Cancelling,
        Usage::Called,
        Usage::Answered,
        Usage::HangingUp,
        Usage::Confirmed,
        Usage::Leaving,
        Usage::Over,
    ];
    let inputs = [
        Input::Accepted,
        Input::Refused,
        Input::Answer,
        Input::Reject,
        Input::HangUp,
        Input::Ack,
        Input::NoAck,
        Input::Cancelled,
        Input::Bye,
        Input::Lost,
        Input::ByeDone,
    ];
    let mut table = "| state | input | next | output |\n|---|---|---|---|\n".to_owned();
    for state in states {
        for input in inputs {
            let (next, outputs) = state.handle(input);
            let outputs: Vec<_> = outputs.iter().map(|output| format!("{output:?}")).collect();
            let outputs = outputs.join(", ");
            let _ = writeln!(table, "| {state:?} | {input:?} | {next:?} | {outputs} |");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn exchange_transitions() {
    let states = [
        Exchange::Empty,
        Exchange::Agreed,
        Exchange::Offered { agreed: false },
        Exchange::Offered { agreed: true },
        Exchange::Asked { agreed: false },
        Exchange::Asked { agreed: true },
    ];
    let steps = [
        Step::Offer,
        Step::Ask,
        Step::HearAnswer,
        Step::GiveAnswer,
        Step::Drop,
    ];
    let mut table = "| state | step | next |\n|---|---|---|\n".to_owned();
    for state in states {
        for step in steps {
            let _ = writeln!(table, "| {state:?} | {step:?} | {:?} |", state.after(step));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn session_timer_answers() {
    let wish = Wish {
        seconds: 1800,
        min: 90,
    };
    let mut table =
        "| supported | session-expires | min-se | agreed | confirmed |\n|---|---|---|---|---|\n"
            .to_owned();
    for supported in [false, true] {
        for expires in [
            "",
            "1800",
            "1800;refresher=uac",
            "1800;refresher=uas",
            "60",
            "90",
        ] {
            for min in ["", "3600"] {
                let mut request = Headers::new();
                for (name, value) in [
                    (Name::Supported, if supported { "timer" } else { "" }),
                    (Name::SessionExpires, expires),
                    (Name::MinSe, min),
                ] {
                    if !value.is_empty() {
                        request.push(name, value);
                    }
                }
                let agreed = refresh::answer(&request, wish);
                let mut response = Headers::new();
                if let Ok(Some(agreed)) = agreed {
                    refresh::confirm(&mut response, agreed, &request);
                }
                let confirmed: Vec<_> = response
                    .iter()
                    .map(|(name, value)| format!("{}: {value}", name.as_str()))
                    .collect();
                let confirmed = confirmed.join(", ");
                let _ = writeln!(
                    table,
                    "| {supported} | {expires} | {min} | {agreed:?} | {confirmed} |"
                );
            }
        }
    }
    insta::assert_snapshot!(table);
}
