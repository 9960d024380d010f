//! Configuration texts with `@WORDS@` to be filled in (`peers/`).
//!
//! Invariant: what is handed to a peer has no word left open.

use anyhow::{Result, bail};

/// Replaces every `@KEY@` of `template`; a key it does not have, or a word left over, is an error.
pub fn fill(template: &str, words: &[(&str, &str)]) -> Result<String> {
    let mut text = template.to_owned();
    for (key, value) in words {
        let word = format!("@{key}@");
        if !template.contains(&word) {
            bail!("the template has no {word}");
        }
        text = text.replace(&word, value);
    }
    match open_word(template, words) {
        Some(word) => bail!("nothing given for @{word}@"),
        None => Ok(text),
    }
}

/// The first word of `template` that `words` says nothing about.
fn open_word<'a>(template: &'a str, words: &[(&str, &str)]) -> Option<&'a str> {
    // Not every `@` begins a word: addresses have one, too.
    template.split('@').find(|piece| {
        is_word(piece)
            && template.contains(&format!("@{piece}@"))
            && !words.iter().any(|(key, _)| key == piece)
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_every_place() {
        assert_eq!(
            fill("@A@ and @B@, @A@", &[("A", "1"), ("B", "2")]).unwrap(),
            "1 and 2, 1"
        );
    }

    #[test]
    fn refuses_words_left_open_and_keys_not_asked_for() {
        assert!(fill("@A@ @B@", &[("A", "1")]).is_err());
        assert!(fill("@A@", &[("A", "1"), ("C", "1")]).is_err());
    }
}
