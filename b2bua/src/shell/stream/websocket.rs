//! SIP over WebSocket (RFC 7118): the handshake in either role, and one SIP message in each
//! WebSocket message.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message, Utf8Bytes};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config, client_async_with_config, tungstenite::handshake,
};

use super::watched::{Begun, Watched};
use super::{Outgoing, Report, Shared, carry, now};
use crate::shell::transport::Drops;
use crate::sip::frame::PING;
use crate::sip::hop::{Flow, Hop, Transport};
use crate::sip::parse::MAX_MESSAGE;

/// A WebSocket on a stream.
pub(super) struct Socket<S> {
    socket: WebSocketStream<Watched<S>>,
    begun: Begun,
}

/// Shakes hands as the server: with who speaks SIP.
pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
) -> Result<Socket<S>, Error> {
    let begun = Begun::default();
    let stream = Watched::new(stream, &begun);
    let socket = accept_hdr_async_with_config(stream, choose, Some(bounds())).await?;
    Ok(Socket { socket, begun })
}

/// RFC 7118 §4.1: the subprotocol is `sip` and is named by both.
#[expect(clippy::result_large_err, reason = "the library wants it so")]
fn choose(
    request: &handshake::server::Request,
    mut response: handshake::server::Response,
) -> Result<handshake::server::Response, handshake::server::ErrorResponse> {
    let offers = request.headers().get_all(SUBPROTOCOL);
    let mut offers = offers.iter().filter_map(|value| value.to_str().ok());
    if offers.any(|list| list.split(',').any(|name| name.trim() == SIP)) {
        let chosen = HeaderValue::from_static(SIP);
        response.headers_mut().insert(SUBPROTOCOL, chosen);
        return Ok(response);
    }
    let why = "Sec-WebSocket-Protocol: sip is spoken here\n".to_owned();
    let mut refusal = handshake::server::ErrorResponse::new(Some(why));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

/// Shakes hands as the client, with a server that is asked for `path`.
///
/// # Errors
/// Says what is wrong with it, and what helps.
pub(super) async fn invite<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    hop: &Hop,
    path: &str,
) -> Result<Socket<S>, String> {
    let uri = uri(hop, path)
        .parse::<Uri>()
        .map_err(|error| error.to_string())?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(SIP);
    let begun = Begun::default();
    let stream = Watched::new(stream, &begun);
    match client_async_with_config(request, stream, Some(bounds())).await {
        Ok((socket, _)) => Ok(Socket { socket, begun }),
        Err(Error::Http(answer)) => Err(format!(
            "it answers {} to our WebSocket; give the right path in ws_path of the trunk",
            answer.status()
        )),
        Err(error) => Err(format!("it does not speak SIP over WebSocket ({error})")),
    }
}

fn uri(hop: &Hop, path: &str) -> String {
    let scheme = match hop.transport {
        Transport::Wss => "wss",
        Transport::Ws | Transport::Udp | Transport::Tcp | Transport::Tls => "ws",
    };
    let own = || hop.host.to_string();
    let host = hop.server_name.as_deref().map_or_else(own, str::to_owned);
    let port = match hop.port == hop.transport.default_port() {
        true => String::new(),
        false => format!(":{}", hop.port),
    };
    format!("{scheme}://{host}{port}{path}")
}

/// Nothing larger than a SIP message may be is read.
fn bounds() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(BUFFER + 4 * MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket<S> {
    /// Reads and writes until the connection ends, or nothing whole came until its second instant.
    pub(super) async fn carry(
        self,
        (flow, first): (Flow, Option<Instant>),
        outgoing: &mut mpsc::Receiver<Outgoing>,
        own: &mpsc::WeakSender<Outgoing>,
        shared: &Shared,
    ) {
        let (writer, reader) = self.socket.split();
        let written = Mutex::new(now());
        tokio::select! {
            () = read(reader, &self.begun, (flow, first), own, &written, shared) => {}
            () = write(writer, outgoing, &written, shared) => {}
        }
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut reader: SplitStream<WebSocketStream<Watched<S>>>,
    begun: &Begun,
    (flow, mut first): (Flow, Option<Instant>),
    own: &mpsc::WeakSender<Outgoing>,
    written: &Mutex<Instant>,
    shared: &Shared,
) {
    begun.end();
    let mut active = now();
    loop {
        let limit = || match begun.since() {
            Some(begun) => begun + shared.limits.message,
            None => first.unwrap_or_else(|| active.max(last(written)) + shared.limits.idle),
        };
        // A message may begin while we wait; so its limit is looked at again.
        let look = limit().min(now() + shared.limits.message);
        match timeout_at(look.into(), reader.next()).await {
            Ok(Some(Ok(message))) => {
                begun.end();
                first = None;
                take(message, flow, own, shared).await;
                active = now();
            }
            Ok(Some(Err(Error::Io(error)))) => return shared.broken(flow, &error),
            Ok(Some(Err(error))) => {
                return tracing::debug!(%error, peer = %flow.peer(), "a WebSocket ended");
            }
            Ok(None) => return,
            Err(_) if now() < limit() => {}
            Err(_) => {
                if begun.since().is_some() || first.is_some() {
                    Drops::count(&shared.drops.slow);
                }
                return;
            }
        }
    }
}

async fn take(message: Message, flow: Flow, own: &mpsc::WeakSender<Outgoing>, shared: &Shared) {
    let bytes = match message {
        Message::Text(text) => Bytes::from(text),
        Message::Binary(bytes) => bytes,
        Message::Pong(_) => return shared.report(Report::Pong { flow }).await,
        // Answered by the library.
        Message::Ping(_) | Message::Close(_) | Message::Frame(_) => return,
    };
    match &*bytes {
        PING => carry::pong(own),
        b"" | b"\r\n" => {}
        _ => shared.report(Report::Packet { flow, bytes }).await,
    }
}

async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut writer: SplitSink<WebSocketStream<Watched<S>>, Message>,
    outgoing: &mut mpsc::Receiver<Outgoing>,
    written: &Mutex<Instant>,
    shared: &Shared,
) {
    while let Some(first) = outgoing.recv().await {
        let all = async {
            let mut size = first.bytes.len();
            writer.feed(message(first.bytes)).await?;
            // What stays queued is surely unwritten.
            while size < BUFFER
                && let Ok(more) = outgoing.try_recv()
            {
                size += more.bytes.len();
                writer.feed(message(more.bytes)).await?;
            }
            writer.flush().await
        };
        match timeout(shared.limits.write, all).await {
            Ok(Ok(())) => *written.lock().unwrap_or_else(PoisonError::into_inner) = now(),
            Ok(Err(_)) => return,
            Err(_) => return Drops::count(&shared.drops.slow),
        }
    }
}

/// RFC 7118 §4.2: text, unless it is none. A keep-alive is a ping, which every server answers
/// (RFC 7118 §6).
fn message(bytes: Bytes) -> Message {
    if bytes == PING {
        return Message::Ping(Bytes::new());
    }
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

fn last(written: &Mutex<Instant>) -> Instant {
    *written.lock().unwrap_or_else(PoisonError::into_inner)
}

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";
const SIP: &str = "sip";
/// Bytes read or gathered for writing at once.
const BUFFER: usize = 16 * 1024;
