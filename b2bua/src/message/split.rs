//! Cutting a long text into parts that each fit a request (specs 2.5).
//!
//! Parts end between words where they can, never inside what a reader takes for one character, and
//! begin with "(1/3) ".

use unicode_segmentation::UnicodeSegmentation;

/// The parts of `text`, each at most `room` bytes with its prefix; nothing when more than `most`
/// would be needed.
#[must_use]
pub fn split(text: &str, room: usize, most: usize) -> Option<Vec<String>> {
    let room = room.checked_sub(PREFIX).filter(|room| *room >= 16)?;
    let mut pieces: Vec<&str> = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        if pieces.len() == most.min(99) {
            return None;
        }
        let (piece, after) = rest.split_at_checked(cut(rest, room))?;
        pieces.push(piece.trim_end());
        rest = after.trim_start_matches([' ', '\n', '\t']);
    }
    let count = pieces.len();
    let numbered = (1..).zip(pieces);
    Some(
        numbered
            .map(|(at, piece)| format!("({at}/{count}) {piece}"))
            .collect(),
    )
}

/// Where the first piece of `text` ends.
fn cut(text: &str, room: usize) -> usize {
    if text.len() <= room {
        return text.len();
    }
    let mut end = 0;
    let mut word_end = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        if at > room {
            break;
        }
        if grapheme.chars().all(char::is_whitespace) {
            word_end = at;
        }
        end = at;
    }
    // A very long word is cut rather than leaving most of a part empty.
    if word_end > room / 2 {
        return word_end;
    }
    match end {
        0 => (1..=room)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(text.len()),
        end => end,
    }
}

/// The longest prefix, "(99/99) ".
const PREFIX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_end_between_words() {
        let parts = split("the quick brown fox jumps over the lazy dog", 28, 9).unwrap();
        assert_eq!(
            parts,
            [
                "(1/3) the quick brown fox",
                "(2/3) jumps over the lazy",
                "(3/3) dog"
            ]
        );
    }

    #[test]
    fn a_family_is_not_torn_apart() {
        let family = "👨‍👩‍👧‍👦".repeat(4);
        for part in split(&family, 40, 9).unwrap() {
            assert!(part.ends_with("👨‍👩‍👧‍👦"), "{part}");
        }
    }

    #[test]
    fn one_endless_character_is_cut_all_the_same() {
        let endless = format!("a{}", "\u{301}".repeat(200));
        assert!(
            split(&endless, 64, 99)
                .unwrap()
                .iter()
                .all(|part| part.len() <= 64)
        );
    }

    #[test]
    fn too_many_parts_are_none() {
        assert_eq!(split(&"word ".repeat(100), 30, 3), None);
        assert_eq!(split("text", 10, 3), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_white_space(text in "[a-zü😀 \n]{0,200}", room in 24_usize..80) {
            let parts = split(&text, room, 99).unwrap();
            let mut joined = String::new();
            for part in &parts {
                prop_assert!(part.len() <= room);
                joined.push_str(part.split_once(") ").map_or("", |(_, text)| text));
            }
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(plain(&joined), plain(&text));
        }
    }
}
