//! Waiting for something to become true: the only way a test may spend time.
//!
//! Invariant: a wait ends as soon as its condition holds; the limit only decides when to give up.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A limit that no healthy peer comes near, even on a loaded machine.
pub const GENEROUS: Duration = Duration::from_secs(60);

/// Asks `condition` until it yields a value, at most for `limit`; an error from it ends the wait at once.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if start.elapsed() > limit {
            bail!("waited {:.1} s in vain for {what}", limit.as_secs_f32());
        }
        sleep(PAUSE);
    }
}

const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_naming_what_it_waited_for() {
        let outcome = until("rain", Duration::from_millis(5), || Ok(None::<()>));
        assert!(outcome.unwrap_err().to_string().contains("rain"));
    }

    #[test]
    fn an_error_ends_the_wait() {
        let outcome: Result<()> = until("rain", GENEROUS, || bail!("dead"));
        assert_eq!(outcome.unwrap_err().to_string(), "dead");
    }
}
