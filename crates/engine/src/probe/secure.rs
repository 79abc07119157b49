//! Checks over TLS: each makes a whole handshake, so that each looks at the certificate.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Failure;
use crate::buffer::{Buffer, Buffers};
use crate::io::{Leave, Stream};
use crate::tls::{self, ClientTls, TlsStream};

/// What a check is made with where TLS is spoken.
#[derive(Clone)]
pub(crate) struct Secured {
    pub(super) config: Arc<ClientTls>,
    pub(super) server_name: Arc<str>,
}

impl Secured {
    /// Makes the handshake, behind what comes before everything else.
    pub(super) async fn shake(&self, socket: Stream, preface: &[u8]) -> Result<Stream, Failure> {
        let socket = match socket {
            Stream::Tcp(mut socket) => {
                socket.write_all(preface).await?;
                Stream::Tcp(socket)
            }
            Stream::Unix(mut socket) => {
                socket.write_all(preface).await?;
                Stream::Unix(socket)
            }
            Stream::Tls(_) => unreachable!("invariant: what was just opened is a socket"),
        };
        let failed = |trouble: tls::Trouble| Failure::Tls(trouble.told(&self.server_name));
        let connection = self.config.connection(&self.server_name).map_err(failed)?;
        let stream = tls::connect(socket, connection, &Buffers::new()).await.map_err(failed)?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// A TLS connection as tokio's traits have it.
pub(super) struct Spoken {
    stream: TlsStream,
    /// Received and not read yet.
    input: Buffer,
}

impl Spoken {
    pub(super) fn new(stream: TlsStream) -> Self {
        Self { stream, input: Buffers::new().buffer() }
    }
}

impl AsyncRead for Spoken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, input } = &mut *self;
        if input.is_empty() {
            input.need_small();
            ready!(stream.poll_receive(cx, input))?;
        }
        let count = input.len().min(into.remaining());
        into.put_slice(&input.filled()[..count]);
        input.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Spoken {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_send(cx, [bytes, &[], &[]], Leave::Now)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_finish(cx)
    }
}
