//! Asking name servers for what the core wants to know ([`crate::dns`]).
//!
//! Each question is a task of its own and ends by itself; nothing is kept here.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{Query as HostsQuery, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, Resolver as Client, TokioResolver};
use tokio::sync::mpsc::UnboundedSender;

use crate::dns::{Answer, Naptr, Query, Records, Srv};

/// Asks questions, and reports each answer on a channel.
pub(super) struct Resolver {
    client: Option<TokioResolver>,
    answers: UnboundedSender<(Query, Answer)>,
}

impl Resolver {
    /// Asks `servers`, or those of the system when there are none.
    pub(super) fn new(servers: &[SocketAddr], answers: UnboundedSender<(Query, Answer)>) -> Self {
        let client = build(servers)
            .inspect_err(|error| {
                tracing::warn!(%error, "no name servers; names cannot be resolved");
            })
            .ok();
        Self { client, answers }
    }

    /// Begins to ask.
    pub(super) fn ask(&self, query: Query) {
        let (client, answers) = (self.client.clone(), self.answers.clone());
        tokio::spawn(async move {
            let answer = match &client {
                Some(client) => match tokio::time::timeout(LIMIT, lookup(client, &query)).await {
                    Ok(answer) => answer,
                    Err(_) => Answer::Failed,
                },
                None => Answer::Failed,
            };
            if answer == Answer::Failed {
                tracing::warn!(?query, "the name servers do not answer");
            }
            // Once the process ends nobody asks any more.
            let _ = answers.send((query, answer));
        });
    }
}

fn build(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = match servers {
        [] => Client::builder_tokio()?,
        servers => {
            let servers = servers.iter().map(|address| {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                for connection in &mut server.connections {
                    connection.port = address.port();
                }
                server
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            Client::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = Duration::from_secs(2);
    options.attempts = 2;
    // The core keeps what it heard, and knows how long.
    options.cache_size = 0;
    // It would be read once; see `from_file`.
    options.use_hosts_file = ResolveHosts::Never;
    builder.build()
}

async fn lookup(client: &TokioResolver, query: &Query) -> Answer {
    match query {
        Query::Naptr(name) => {
            let found = ask(client, name, RecordType::NAPTR).await;
            found.into_answer(naptr, Records::Naptr)
        }
        Query::Srv(name) => {
            let found = ask(client, name, RecordType::SRV).await;
            found.into_answer(srv, Records::Srv)
        }
        Query::Addresses(name) => {
            if let Some(addresses) = from_file(name) {
                return Answer::Found(Records::Addresses(addresses), OF_FILE);
            }
            let (four, six) = tokio::join!(
                ask(client, name, RecordType::A),
                ask(client, name, RecordType::AAAA)
            );
            match (
                four.into_answer(address, Records::Addresses),
                six.into_answer(address, Records::Addresses),
            ) {
                (Answer::Failed, other) | (other, Answer::Failed) => other,
                (
                    Answer::Found(Records::Addresses(mut four), life),
                    Answer::Found(Records::Addresses(six), other),
                ) => {
                    // The life of an empty answer says nothing about the other family.
                    let life = match (four.is_empty(), six.is_empty()) {
                        (false, true) => life,
                        (true, false) => other,
                        (true, true) | (false, false) => life.min(other),
                    };
                    four.extend(six);
                    Answer::Found(Records::Addresses(four), life)
                }
                (Answer::Found(..), Answer::Found(..)) => Answer::Failed,
            }
        }
    }
}

/// What `/etc/hosts` says of a name; read each time, because admins write into it while we run.
fn from_file(name: &str) -> Option<Vec<IpAddr>> {
    let full = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).ok()?;
    let hosts = Hosts::from_system().ok()?;
    let found = [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|kind| {
            let query = HostsQuery::query(full.clone(), kind);
            hosts.lookup_static_host(&query)
        });
    let records = found.flat_map(|found| found.answers().to_vec());
    let addresses = records.filter_map(|record| address(&record.data));
    let addresses: Vec<IpAddr> = addresses.take(MAX_RECORDS).collect();
    (!addresses.is_empty()).then_some(addresses)
}

/// What a name server said.
enum Heard {
    Records(Box<Lookup>),
    Nothing(Duration),
    Failed,
}

async fn ask(client: &TokioResolver, name: &str, kind: RecordType) -> Heard {
    // A name with a dot is a whole name; others go through the search list, as everywhere.
    let full = match name.contains('.') {
        true => format!("{name}."),
        false => name.to_owned(),
    };
    let Ok(full) = Name::from_ascii(&full) else {
        return Heard::Nothing(NEGATIVE);
    };
    match client.lookup(full, kind).await {
        Ok(found) => Heard::Records(Box::new(found)),
        Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords {
            response_code: ResponseCode::NoError | ResponseCode::NXDomain,
            negative_ttl,
            ..
        }))) => {
            let life = negative_ttl.map_or(NEGATIVE, |ttl| Duration::from_secs(ttl.into()));
            Heard::Nothing(life.min(MAX_NEGATIVE))
        }
        Err(error) => {
            tracing::debug!(%error, name, "a name server gave no answer");
            Heard::Failed
        }
    }
}

impl Heard {
    fn into_answer<T>(
        self,
        read: impl Fn(&RData) -> Option<T>,
        records: impl Fn(Vec<T>) -> Records,
    ) -> Answer {
        match self {
            Self::Failed => Answer::Failed,
            Self::Nothing(life) => Answer::Found(records(Vec::new()), life),
            Self::Records(found) => {
                let items = found.answers().iter().map(|record| &record.data);
                let items = items.filter_map(read).take(MAX_RECORDS).collect();
                let life = found.valid_until().saturating_duration_since(now());
                Answer::Found(records(items), life)
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there are some forty kinds of records"
)]
fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0).to_canonical()),
        _ => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there are some forty kinds of records"
)]
fn srv(data: &RData) -> Option<Srv> {
    match data {
        RData::SRV(record) => Some(Srv {
            priority: record.priority,
            weight: record.weight,
            port: record.port,
            target: plain(&record.target),
        }),
        _ => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there are some forty kinds of records"
)]
fn naptr(data: &RData) -> Option<Naptr> {
    match data {
        RData::NAPTR(record) => Some(Naptr {
            order: record.order,
            preference: record.preference,
            flags: String::from_utf8_lossy(&record.flags).into(),
            service: String::from_utf8_lossy(&record.services).into(),
            replacement: plain(&record.replacement),
        }),
        _ => None,
    }
}

/// A name in lower case without its final dot.
fn plain(name: &Name) -> Box<str> {
    let text = name.to_ascii().to_ascii_lowercase();
    text.trim_end_matches('.').into()
}

fn now() -> Instant {
    Instant::now()
}

/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(6);
/// How long nothing is nothing, where the zone does not say; and at most, for a provider that has
/// just mended its zone is wanted soon.
const NEGATIVE: Duration = Duration::from_secs(60);
const MAX_NEGATIVE: Duration = Duration::from_secs(300);
/// How long an address of `/etc/hosts` holds.
const OF_FILE: Duration = Duration::from_secs(60);
/// Most records of one answer.
const MAX_RECORDS: usize = 64;
