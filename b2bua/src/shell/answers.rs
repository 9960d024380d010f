//! Answers to admins whose question changes rows of the store: each waits until its rows are written.
//!
//! Whoever reads `kept` may close the terminal; what no disk holds is gone with the process.

use tokio::sync::oneshot;

use crate::admin::Answer;

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// For the round that gathers.
    gathered: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// For the one that is being stored.
    storing: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Answers {
    /// `answer` is for `asker`, once the rows that gather now are written.
    pub(super) fn hold(&mut self, asker: oneshot::Sender<Answer>, answer: Answer) {
        self.gathered.push((asker, answer));
    }

    /// The rows that gathered are being written.
    pub(super) fn begin(&mut self) {
        self.storing.append(&mut self.gathered);
    }

    /// They are written, or cannot be.
    pub(super) fn stored(&mut self, written: bool) {
        for (asker, answer) in self.storing.drain(..) {
            let answer = match written {
                true => answer,
                false => Answer::no(NOT_KEPT),
            };
            // Whoever asked may be gone.
            let _ = asker.send(answer);
        }
    }
}

const NOT_KEPT: &str = "not kept: the database could not be written; it holds until the process ends, and not after that";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_said_when_its_rows_are_written_and_not_before() {
        let mut answers = Answers::default();
        let (asker, mut first) = oneshot::channel();
        answers.hold(asker, Answer::ok("kept"));
        // What is being stored is of the round before.
        answers.stored(true);
        assert!(first.try_recv().is_err());
        answers.begin();
        let (asker, mut second) = oneshot::channel();
        answers.hold(asker, Answer::ok("forgotten"));
        assert!(first.try_recv().is_err());
        answers.stored(true);
        assert_eq!(first.try_recv(), Ok(Answer::ok("kept")));
        assert!(second.try_recv().is_err());
        answers.begin();
        answers.stored(false);
        let said = second.try_recv().unwrap();
        assert!(
            !said.ok && said.text.starts_with("not kept: "),
            "{}",
            said.text
        );
    }
}
