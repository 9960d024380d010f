//! What is wrong with peers, said once and not with every try.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was last said of whom.
#[derive(Default)]
pub(super) struct Complaints(Mutex<HashMap<String, String>>);

impl Complaints {
    /// Whether this is news of `peer`.
    pub(super) fn is_new(&self, peer: &str, text: &str) -> bool {
        let mut said = self.said();
        if said.get(peer).is_some_and(|last| last == text) {
            return false;
        }
        if said.len() >= MAX {
            said.clear();
        }
        said.insert(peer.to_owned(), text.to_owned());
        true
    }

    /// It works again.
    pub(super) fn forget(&self, peer: &str) {
        self.said().remove(peer);
    }

    fn said(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most peers remembered.
const MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_until_it_works_again() {
        let complaints = Complaints::default();
        assert!(complaints.is_new("a", "x"));
        assert!(!complaints.is_new("a", "x"));
        assert!(complaints.is_new("a", "y") && complaints.is_new("b", "y"));
        complaints.forget("a");
        assert!(complaints.is_new("a", "y"));
        for number in 0..2 * MAX {
            complaints.is_new(&number.to_string(), "x");
        }
        assert!(complaints.said().len() <= MAX);
    }
}
