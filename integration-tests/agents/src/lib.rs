//! What the two independent SIP agents have in common: their command line and
//! the count of outcomes they print.
//!
//! `AGENT serve --listen ADDR [--allow IP] [--threads N]` answers until it is ended;
//! `AGENT send --listen ADDR --target ADDR [--count N] [--concurrency N]
//! [--to URI]` sends N MESSAGEs and prints one JSON line of outcomes.
//! Both agents take the same words, so that the scorecard can start either.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

/// What an agent was asked to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Answer requests on UDP and TCP until the process is ended.
    Serve {
        /// Address of both listeners.
        listen: SocketAddr,
        /// The only source that is answered, where the stack can tell.
        allow: Option<IpAddr>,
    },
    /// Send MESSAGE requests and report how each ended.
    Send(Errand),
}

/// A run of MESSAGE requests.
#[derive(Debug, Clone)]
pub struct Errand {
    /// Address requests leave from.
    pub listen: SocketAddr,
    /// Request-URI; its host and port are the next hop.
    pub to: String,
    /// Number of requests.
    pub count: u64,
    /// Requests without a final response at any one time.
    pub concurrency: usize,
}

/// The command and where it runs.
#[derive(Debug, Clone)]
pub struct Args {
    /// What to do.
    pub command: Command,
    /// Threads of the runtime; 0 runs everything on the main thread.
    pub threads: usize,
}

/// Reads the command line.
///
/// # Errors
/// An unknown word, a missing value or a value that does not parse.
pub fn parse_args(args: impl IntoIterator<Item = String>) -> anyhow::Result<Args> {
    let mut args = args.into_iter();
    let verb = args.next().context("expected `serve` or `send`")?;
    let mut options = BTreeMap::new();
    while let Some(name) = args.next() {
        let value = args
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        options.insert(name, value);
    }
    let listen =
        take(&mut options, "--listen")?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 5070)));
    let threads = take(&mut options, "--threads")?.unwrap_or(0);
    let command = match verb.as_str() {
        "serve" => Command::Serve {
            listen,
            allow: take(&mut options, "--allow")?,
        },
        "send" => {
            let target: SocketAddr =
                take(&mut options, "--target")?.context("`send` needs --target")?;
            Command::Send(Errand {
                listen,
                to: take(&mut options, "--to")?.unwrap_or(format!("sip:bob@{target}")),
                count: take(&mut options, "--count")?.unwrap_or(1),
                concurrency: take(&mut options, "--concurrency")?.unwrap_or(16),
            })
        }
        other => bail!("unknown command {other}; expected `serve` or `send`"),
    };
    match options.keys().next() {
        Some(name) => bail!("unknown option {name}"),
        None => Ok(Args { command, threads }),
    }
}

fn take<T>(options: &mut BTreeMap<String, String>, name: &str) -> anyhow::Result<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    options
        .remove(name)
        .map(|value| value.parse().with_context(|| format!("{name} {value}")))
        .transpose()
}

/// Runs an agent on a runtime of `threads` threads until it ends.
///
/// # Errors
/// Those of the agent, or of starting the runtime.
pub fn run(threads: usize, agent: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut builder = match threads {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder
        .worker_threads(threads.max(1))
        .enable_all()
        .build()?
        .block_on(agent)
}

/// Runs `send_one` for every number of the errand, at most `concurrency` at a
/// time, and prints the outcomes with the seconds it took.
///
/// An outcome is the status code of the final response or a word for its lack.
pub async fn run_errand<F, Fut>(errand: &Errand, send_one: F)
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = String> + Send + 'static,
{
    let begin = Instant::now();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut open = JoinSet::new();
    for number in 0..errand.count {
        if open.len() >= errand.concurrency.max(1) {
            note(&mut outcomes, open.join_next().await);
        }
        open.spawn(send_one(number));
    }
    while let Some(outcome) = open.join_next().await {
        note(&mut outcomes, Some(outcome));
    }
    print_outcomes(&outcomes, begin.elapsed());
}

fn note(
    outcomes: &mut BTreeMap<String, u64>,
    ended: Option<Result<String, tokio::task::JoinError>>,
) {
    let outcome = match ended {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => "panicked".to_owned(),
        None => return,
    };
    *outcomes.entry(outcome).or_default() += 1;
}

fn print_outcomes(outcomes: &BTreeMap<String, u64>, took: Duration) {
    let fields: Vec<String> = outcomes
        .iter()
        .map(|(outcome, count)| format!("\"{outcome}\":{count}"))
        .collect();
    println!(
        "{{\"outcomes\":{{{}}},\"seconds\":{:.3}}}",
        fields.join(","),
        took.as_secs_f64()
    );
}

#[cfg(test)]
mod tests {
    use super::{Args, Command, parse_args};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn send_takes_its_request_uri_from_the_target() {
        let args = parse_args(words("send --target 127.0.0.1:9 --count 3"));
        let Ok(Args {
            command: Command::Send(errand),
            ..
        }) = args
        else {
            panic!("not a send command");
        };
        assert_eq!(
            (errand.to.as_str(), errand.count),
            ("sip:bob@127.0.0.1:9", 3)
        );
    }

    #[test]
    fn unknown_option_is_refused() {
        assert!(parse_args(words("serve --lisen 127.0.0.1:5070")).is_err());
    }
}
