//! A SIP user agent on `rsipstack`: transactions only, no dialogs.
//!
//! It adds no validation of its own, so that what the scorecard sees is what
//! the stack does by itself.

use std::net::{IpAddr, SocketAddr};

use anyhow::anyhow;
use rsipstack::EndpointBuilder;
use rsipstack::sip::headers::ContentType;
use rsipstack::sip::{Header, Method, SipMessage, StatusCode, Uri, typed};
use rsipstack::transaction::endpoint::{Endpoint, EndpointInnerRef};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::make_tag;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{TcpListenerConnection, TransportLayer};
use tandem_agents::{Command, Errand, parse_args, run, run_errand};
use tokio_util::sync::CancellationToken;

fn main() -> anyhow::Result<()> {
    let args = parse_args(std::env::args().skip(1))?;
    run(args.threads, act(args.command))
}

async fn act(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { listen, allow } => serve(start(listen, allow).await?).await,
        Command::Send(errand) => send(start(errand.listen, None).await?, errand).await,
    }
}

async fn start(listen: SocketAddr, allow: Option<IpAddr>) -> anyhow::Result<Endpoint> {
    let cancel = CancellationToken::new();
    let transport = TransportLayer::new(cancel.child_token());
    let udp = UdpConnection::create_connection(listen, None, Some(cancel.child_token())).await?;
    transport.add_transport(udp.into());
    transport.add_transport(TcpListenerConnection::new(listen, None).await?.into());
    if let Some(allowed) = allow {
        transport.set_whitelist(move |ip: IpAddr| async move { ip == allowed });
    }
    Ok(EndpointBuilder::new()
        .with_user_agent("rsipstack-agent")
        .with_transport_layer(transport)
        .with_cancel_token(cancel)
        .build())
}

async fn serve(endpoint: Endpoint) -> anyhow::Result<()> {
    let mut incoming = endpoint.incoming_transactions()?;
    let running = endpoint.inner.clone();
    tokio::spawn(async move { running.serve().await });
    while let Some(transaction) = incoming.recv().await {
        answer(transaction).await;
    }
    Ok(())
}

async fn answer(mut transaction: Transaction) {
    let status = match transaction.original.method {
        Method::Message => StatusCode::Accepted,
        Method::Options => StatusCode::OK,
        Method::Invite => StatusCode::BusyHere,
        _ => StatusCode::MethodNotAllowed,
    };
    // A failed reply shows as silence in the scorecard.
    let _ = transaction.reply(status).await;
    if transaction.original.method == Method::Invite {
        // Timer G and the ACK are only served while someone receives.
        tokio::spawn(async move { while transaction.receive().await.is_some() {} });
    }
}

async fn send(endpoint: Endpoint, errand: Errand) -> anyhow::Result<()> {
    let inner = endpoint.inner.clone();
    tokio::spawn(async move { inner.serve().await });
    let to: Uri = errand
        .to
        .as_str()
        .try_into()
        .map_err(|_| anyhow!("--to is no SIP URI"))?;
    let from: Uri = format!("sip:alice@{}", errand.listen)
        .as_str()
        .try_into()
        .map_err(|_| anyhow!("--listen makes no SIP URI"))?;
    // The stack refuses to send before its listeners are served.
    tokio::task::yield_now().await;
    run_errand(&errand, |number| {
        let (inner, from, to) = (endpoint.inner.clone(), from.clone(), to.clone());
        async move {
            send_one(inner, from, to, number)
                .await
                .unwrap_or_else(|fault| fault)
        }
    })
    .await;
    Ok(())
}

async fn send_one(
    inner: EndpointInnerRef,
    from: Uri,
    to: Uri,
    number: u64,
) -> Result<String, String> {
    let via = inner.get_via(None, None).map_err(|_| "no-via")?;
    let from = typed::From {
        display_name: None,
        uri: from,
        params: vec![],
    }
    .with_tag(make_tag());
    let target = typed::To {
        display_name: None,
        uri: to.clone(),
        params: vec![],
    };
    let mut request = inner.make_request(Method::Message, to, via, from, target, 1, None);
    request.body = format!("message {number}").into_bytes();
    request
        .headers
        .push(Header::ContentType(ContentType::from("text/plain")));
    let key = TransactionKey::from_request(&request, TransactionRole::Client)
        .map_err(|_| "no-transaction-key")?;
    let mut transaction = Transaction::new_client(key, request, inner, None);
    transaction.send().await.map_err(|_| "not-sent")?;
    while let Some(message) = transaction.receive().await {
        if let SipMessage::Response(response) = message {
            let code = response.status_code.code();
            if code >= 200 {
                return Ok(code.to_string());
            }
        }
    }
    Err("no-final-response".to_owned())
}
