//! One admin connection: the engine's own answers, then, at the first path that is not its own, a relay to the control
//! process until the end.

use std::io;
use std::time::Duration;

use fairlead_wire::head::Head;
use fairlead_wire::http1::encode::{self, Framing};
use fairlead_wire::http1::{Body, Limits, Request, Scan, parse};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::answer::Answer;
use super::{Relay, Via};
use crate::engine::Shared;

const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_fields: 128 };
/// For a request's head, waiting for it included.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tells the control process by what a request came. Only the engine says it: what clients send is removed.
const VIA: &[u8] = b"Fairlead-Via";

pub(super) async fn run(
    shared: &Shared,
    relay: &Relay,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    via: Via,
) -> io::Result<()> {
    let mut input = Vec::new();
    let mut head = Head::new();
    let mut out = Vec::new();
    loop {
        let request = match timeout(PATIENCE, read_head(&mut stream, &mut input, &mut head)).await?? {
            Read::Request(request) => request,
            Read::Refused(answer) => {
                answer.encode(false, false, &mut out);
                stream.write_all(&out).await?;
                return stream.shutdown().await;
            }
            Read::End => return Ok(()),
        };
        let Some(answer) = Answer::to(shared, head.method(), head.path()) else {
            input.drain(..request.len);
            return relay_to_control(relay, &mut stream, &mut head, &request, &input, via).await;
        };
        // What is asked here has no body: one that is sent ends the connection instead of being read.
        let persistent = request.persistent && request.body == Body::None;
        out.clear();
        answer.encode(head.method() == b"HEAD", persistent, &mut out);
        stream.write_all(&out).await?;
        if !persistent {
            return stream.shutdown().await;
        }
        input.drain(..request.len);
    }
}

enum Read {
    Request(Request),
    Refused(Answer),
    End,
}

async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut Vec<u8>,
    head: &mut Head,
) -> io::Result<Read> {
    let mut scan = Scan::default();
    loop {
        match parse::request(input, &mut scan, &LIMITS, head) {
            Ok(Some(request)) => return Ok(Read::Request(request)),
            Ok(None) => {}
            Err(refusal) => return Ok(Read::Refused(Answer::refusal(refusal.status, refusal.reason))),
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(Read::End);
        }
    }
}

/// One request a connection: what follows it may be the engine's own.
async fn relay_to_control(
    relay: &Relay,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    head: &mut Head,
    request: &Request,
    rest: &[u8],
    via: Via,
) -> io::Result<()> {
    let control = match &relay.control {
        Some(path) => UnixStream::connect(path).await,
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let mut out = Vec::new();
    let Ok(mut control) = control else {
        Answer::control_is_away().encode(head.method() == b"HEAD", false, &mut out);
        stream.write_all(&out).await?;
        return stream.shutdown().await;
    };
    head.remove(VIA);
    head.append(VIA, if via == Via::Socket { b"socket" } else { b"tcp" });
    if !request.upgrade {
        head.set(b"Connection", b"close");
    }
    encode::request(head, Framing::AsIs, &mut out);
    out.extend_from_slice(rest);
    control.write_all(&out).await?;
    copy_bidirectional(stream, &mut control).await.map(drop)
}
