//! The client's side of a request: a connection of HTTP/1, or one stream of HTTP/2.

use std::task::{Context, Poll};

use fairlead_wire::Head;

use crate::clock::Deadline;
use crate::http2::Call;
use crate::io::{Fault, Source, Stream};

/// Where a request came from, and its answer goes.
pub(crate) enum Downstream {
    Http1(Stream),
    Http2(Box<Call>),
}

impl Downstream {
    /// The connection's socket.
    pub(crate) fn socket(&self) -> &Stream {
        match self {
            Self::Http1(stream) => stream,
            Self::Http2(call) => call.socket(),
        }
    }

    /// Ready when something came: of a request, or of its body.
    #[inline]
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), Fault>> {
        match self {
            Self::Http1(stream) => stream.poll_readable(cx, deadline),
            Self::Http2(call) => call.poll_readable(cx, deadline),
        }
    }

    /// The answer is whole but for `trailers`, where the version sends them apart from the body.
    pub(crate) fn finish(&self, trailers: Option<&Head>) {
        if let Self::Http2(call) = self {
            call.finish(trailers);
        }
    }

    /// Waits until nobody needs the answer any more; see [`Stream::gone`].
    pub(crate) async fn gone(&self, end_counts: bool) {
        match self {
            Self::Http1(stream) => stream.gone(end_counts).await,
            Self::Http2(call) => call.gone().await,
        }
    }
}
