//! What admins say to the gateway: `approve 3`, `deny juliet@example.com`, `list`.

/// A word that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word<'a> {
    Approve(Whom<'a>),
    Deny(Whom<'a>),
    List,
}

/// Who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom<'a> {
    /// Whoever alone waits.
    Only,
    /// Who has this id.
    Id(u32),
    /// The user of this JID.
    User(&'a str),
}

impl<'a> Word<'a> {
    /// Reads the first line that quotes nobody: what a client puts before a reply is a quotation.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('>'))?;
        // A corrected message is marked so.
        let line = line.strip_prefix("* ").unwrap_or(line);
        let mut words = line.split_whitespace();
        let (word, whom, rest) = (words.next()?, words.next(), words.next());
        if rest.is_some() {
            return None;
        }
        let whom = match whom {
            None => Whom::Only,
            Some(whom) if whom.contains('@') => Whom::User(whom),
            Some(whom) => {
                let id = whom.trim_matches(|c| matches!(c, '#' | '.' | '"'));
                Whom::Id(id.parse().ok()?)
            }
        };
        let word = word.trim_matches('"').to_lowercase();
        match (word.as_str(), whom) {
            ("approve", whom) => Some(Self::Approve(whom)),
            ("deny", whom) => Some(Self::Deny(whom)),
            ("list", Whom::Only) => Some(Self::List),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_people_write_them() {
        for (text, word) in [
            ("approve 3", Some(Word::Approve(Whom::Id(3)))),
            ("Approve #3.", Some(Word::Approve(Whom::Id(3)))),
            (" DENY ", Some(Word::Deny(Whom::Only))),
            ("\"deny 4\"", Some(Word::Deny(Whom::Id(4)))),
            (
                "> wants to call\n> +49\n\napprove",
                Some(Word::Approve(Whom::Only)),
            ),
            ("* approve 5", Some(Word::Approve(Whom::Id(5)))),
            ("deny a@b", Some(Word::Deny(Whom::User("a@b")))),
            ("list", Some(Word::List)),
            ("approve all of them", None),
            ("approve -1", None),
            ("approve 99999999999999999999", None),
            ("> approve 3", None),
            ("approved", None),
            ("", None),
        ] {
            assert_eq!(Word::read(text), word, "{text}");
        }
    }
}
