//! Counts as a log shows them: by name, and only those that have counted something.

use std::fmt::Write as _;

/// `taken: 3, delivered: 2`, or `none`.
#[must_use]
pub fn tally(counts: &[(&str, u64)]) -> String {
    let mut text = String::new();
    for (name, count) in counts.iter().filter(|(_, count)| *count > 0) {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{name}: {count}");
    }
    if text.is_empty() {
        text.push_str("none");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_happened_is_not_told() {
        assert_eq!(
            tally(&[("taken", 3), ("refused", 0), ("delivered", 2)]),
            "taken: 3, delivered: 2"
        );
        assert_eq!(tally(&[("taken", 0)]), "none");
    }
}
