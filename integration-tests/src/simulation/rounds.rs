//! The rounds in which a process carries out what its core asks for: rows first, and what follows
//! them only when they are on disk. While one round is stored the next one gathers.

/// The rounds of one process.
#[derive(Debug)]
pub(super) struct Rounds<A> {
    gathered: Vec<A>,
    /// Rows on their way to disk, and what follows them.
    storing: Option<(Vec<A>, Vec<A>)>,
}

/// What to do about a round.
#[derive(Debug)]
pub(super) enum Round<A> {
    /// Nothing now.
    Nothing,
    /// Rows are being stored.
    Storing,
    /// There are no rows; these leave at once.
    Perform(Vec<A>),
}

impl<A> Rounds<A> {
    pub(super) fn new() -> Self {
        Self {
            gathered: Vec::new(),
            storing: None,
        }
    }

    pub(super) fn gather(&mut self, action: A) {
        self.gathered.push(action);
    }

    /// Begins the next round unless one is being stored.
    pub(super) fn begin(&mut self, is_row: impl Fn(&A) -> bool) -> Round<A> {
        if self.storing.is_some() || self.gathered.is_empty() {
            return Round::Nothing;
        }
        let all = std::mem::take(&mut self.gathered);
        let (rows, rest): (Vec<A>, Vec<A>) = all.into_iter().partition(is_row);
        if rows.is_empty() {
            return Round::Perform(rest);
        }
        self.storing = Some((rows, rest));
        Round::Storing
    }

    /// The rows of the round being stored, once.
    pub(super) fn take_rows(&mut self) -> Vec<A> {
        self.storing
            .as_mut()
            .map(|(rows, _)| std::mem::take(rows))
            .unwrap_or_default()
    }

    /// What follows the rows of the round that was stored.
    pub(super) fn take_rest(&mut self) -> Vec<A> {
        self.storing
            .take()
            .map(|(_, rest)| rest)
            .unwrap_or_default()
    }
}
