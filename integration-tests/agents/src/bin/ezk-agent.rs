//! A SIP user agent on `ezk-sip-core`, the stack under `ezk-sip-ua`.
//!
//! It adds no validation of its own, so that what the scorecard sees is what
//! the stack does by itself.

use std::net::SocketAddr;

use anyhow::Context;
use bytesstr::BytesStr;
use ezk_sip_core::transport::TargetTransportInfo;
use ezk_sip_core::{Endpoint, Error, IncomingRequest, Layer, MayTake, Request};
use ezk_sip_types::header::typed::{CSeq, CallID, ContentType, FromTo, MaxForwards};
use ezk_sip_types::uri::{NameAddr, SipUri};
use ezk_sip_types::{Method, Name, StatusCode};
use ezk_sip_ua::util::random_string;
use tandem_agents::{Command, Errand, parse_args, run, run_errand};

fn main() -> anyhow::Result<()> {
    let args = parse_args(std::env::args().skip(1))?;
    run(args.threads, act(args.command))
}

async fn act(command: Command) -> anyhow::Result<()> {
    match command {
        // The stack has no admission by source: `--allow` has no effect.
        Command::Serve { listen, allow: _ } => {
            let _endpoint = start(listen).await?;
            std::future::pending().await
        }
        Command::Send(errand) => send(start(errand.listen).await?, errand).await,
    }
}

async fn start(listen: SocketAddr) -> anyhow::Result<Endpoint> {
    let mut builder = Endpoint::builder();
    builder.user_agent("ezk-agent");
    builder.bind_udp(listen).await?;
    builder.listen_tcp(listen).await?;
    builder.add_layer(Answers);
    Ok(builder.build())
}

struct Answers;

#[async_trait::async_trait]
impl Layer for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    async fn receive(&self, endpoint: &Endpoint, request: MayTake<'_, IncomingRequest>) {
        let method = request.line.method.clone();
        let (status, reason) = if method == Method::MESSAGE {
            (StatusCode::from(202), "Accepted")
        } else if method == Method::OPTIONS {
            (StatusCode::OK, "OK")
        } else if method == Method::INVITE {
            (StatusCode::BUSY_HERE, "Busy Here")
        } else {
            return;
        };
        let mut request = request.take();
        let mut response = endpoint.create_response(&request, status, Some(reason.into()));
        // The stack tags dialog responses only.
        response
            .msg
            .headers
            .edit(Name::TO, |to: &mut FromTo| {
                to.tag.get_or_insert_with(random_string);
            })
            .ok();
        // A failed reply shows as silence in the scorecard.
        if method == Method::INVITE {
            endpoint
                .create_server_inv_tsx(&mut request)
                .respond_failure(response)
                .await
                .ok();
        } else {
            endpoint
                .create_server_tsx(&mut request)
                .respond(response)
                .await
                .ok();
        }
    }
}

async fn send(endpoint: Endpoint, errand: Errand) -> anyhow::Result<()> {
    let to: SipUri = errand.to.parse().context("--to is no SIP URI")?;
    let from: SipUri = format!("sip:alice@{}", errand.listen)
        .parse()
        .context("--listen")?;
    run_errand(&errand, |number| {
        let (endpoint, from, to) = (endpoint.clone(), from.clone(), to.clone());
        async move {
            match send_one(endpoint, from, to, number).await {
                Ok(code) => code.to_string(),
                Err(Error::RequestTimedOut) => "no-final-response".to_owned(),
                Err(Error::Io(_) | Error::Header(_)) => "not-sent".to_owned(),
            }
        }
    })
    .await;
    Ok(())
}

async fn send_one(endpoint: Endpoint, from: SipUri, to: SipUri, number: u64) -> Result<u16, Error> {
    let mut request = Request::new(Method::MESSAGE, to.clone());
    let headers = &mut request.headers;
    headers.insert_named(&MaxForwards(70));
    headers.insert_type(
        Name::FROM,
        &FromTo::new(NameAddr::uri(from), Some(random_string())),
    );
    headers.insert_type(Name::TO, &FromTo::new(NameAddr::uri(to), None));
    headers.insert_named(&CallID::new(random_string()));
    headers.insert_named(&CSeq {
        cseq: 1,
        method: Method::MESSAGE,
    });
    headers.insert_named(&ContentType(BytesStr::from_static("text/plain")));
    request.body = format!("message {number}").into();
    let mut target = TargetTransportInfo::default();
    let mut transaction = endpoint.send_request(request, &mut target).await?;
    Ok(transaction.receive_final().await?.line.code.into_u16())
}
