//! Bounds of numbers in configurations, so that no value stops the process or what it is for.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// The longest time a configuration may name, in seconds: a year. Clocks overflow far beyond.
pub const YEAR: u64 = 31_536_000;
/// A day, in seconds.
pub const DAY: u64 = 86_400;
/// The most of anything that a configuration may let grow; more than any machine holds.
pub const MANY: usize = 10_000_000;

/// Checks that the value of `key` lies in `bounds`; `unit` is what it counts, as `seconds`, or nothing.
///
/// # Errors
/// One line that names the key and the bounds.
pub fn within<T: PartialOrd + Display>(
    key: &str,
    value: T,
    bounds: RangeInclusive<T>,
    unit: &str,
) -> Result<(), String> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let text = format!(
        "{key}: must be from {} to {} {unit}",
        bounds.start(),
        bounds.end()
    );
    Err(text.trim_end().to_owned())
}

/// The same where 0 has a meaning of its own.
///
/// # Errors
/// As for [`within`].
pub fn zero_or_within<T: PartialOrd + Display + Default>(
    key: &str,
    value: T,
    bounds: RangeInclusive<T>,
    unit: &str,
) -> Result<(), String> {
    match value == T::default() {
        true => Ok(()),
        false => within(key, value, bounds, unit)
            .map_err(|text| text.replacen(": must be from", ": must be 0, or from", 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_what_is_allowed() {
        for (value, good) in [(0, false), (1, true), (3600, true), (3601, false)] {
            assert_eq!(within("a.b", value, 1..=3600, "seconds").is_ok(), good);
            let zero = zero_or_within("a.b", value, 1..=3600, "seconds").is_ok();
            assert_eq!(zero, good || value == 0);
        }
        let said = within("a.b", u64::MAX, 1..=YEAR, "seconds").unwrap_err();
        assert_eq!(said, "a.b: must be from 1 to 31536000 seconds");
        let said = zero_or_within("a.b", 4, 5..=6, "").unwrap_err();
        assert_eq!(said, "a.b: must be 0, or from 5 to 6");
    }
}
