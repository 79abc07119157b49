//! One stream: a request and its answer, as the rest of the engine sees them. Its body is a source and its answer a sink
//! like a socket's, under flow control: what isn't taken on isn't asked for, and nothing is kept here but one frame.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use fairlead_wire::http1::{self, Body, Framing, Limits, Scan};
use fairlead_wire::http2::request::Terms;
use fairlead_wire::http2::{Count, Extent, answer, request, trailers};
use fairlead_wire::{Head, Refusal};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::link::Link;
use crate::buffer::Buffer;
use crate::clock::Deadline;
use crate::io::{Fault, Leave, Sink, Source, Stream};

/// Given to a stream at once; a frame takes 16 KiB, and more is only more memory for who waits.
const PIECE: usize = 16 * 1024;

/// One request of a connection.
pub(crate) struct Call {
    link: Rc<Link>,
    /// Streams of the connection that are open.
    open: Rc<Cell<usize>>,
    request: RefCell<Option<Parts>>,
    body: RefCell<Incoming>,
    answer: RefCell<Answer>,
}

/// The body of the request.
struct Incoming {
    stream: RecvStream,
    /// Received and not taken yet.
    data: Bytes,
    count: Count,
    limits: Limits,
    ended: bool,
    trailers: Option<Box<Head>>,
}

/// The answer.
enum Answer {
    Due(SendResponse<Bytes>),
    Begun(SendStream<Bytes>),
    Over,
}

impl Call {
    pub(super) fn new(
        link: &Rc<Link>,
        open: &Rc<Cell<usize>>,
        request: http::Request<RecvStream>,
        answer: SendResponse<Bytes>,
    ) -> Self {
        let (request, stream) = request.into_parts();
        open.set(open.get() + 1);
        let body = Incoming {
            stream,
            data: Bytes::new(),
            count: Count::new(Extent::Stream),
            limits: Limits { max_bytes: 0, max_fields: 0 },
            ended: false,
            trailers: None,
        };
        Self {
            link: Rc::clone(link),
            open: Rc::clone(open),
            request: RefCell::new(Some(request)),
            body: RefCell::new(body),
            answer: RefCell::new(Answer::Due(answer)),
        }
    }

    /// The socket that it shares with others.
    pub(crate) fn socket(&self) -> &Stream {
        &self.link.stream
    }

    /// Reads the request's head.
    pub(crate) fn read(&self, limits: &Limits, head: &mut Head) -> Result<http1::Request, Refusal> {
        let parts = self.request.take().expect("invariant: a stream's head is read once");
        let mut body = self.body.borrow_mut();
        let ends = body.stream.is_end_stream();
        let terms = Terms { limits, extended_connect: false };
        let request = request::read(list(&parts), ends, terms, head)?;
        body.count = Count::new(request.extent);
        body.limits = *limits;
        Ok(http1::Request {
            len: 0,
            body: match request.extent {
                Extent::None => Body::None,
                Extent::Length(length) => Body::Length(length),
                Extent::Stream => Body::Close,
            },
            persistent: true,
            expect_continue: request.expect_continue,
            upgrade: request.upgrade,
        })
    }

    /// Waits until the client has reset the stream, or the connection is gone.
    pub(crate) async fn gone(&self) {
        poll_fn(|cx| match &mut *self.answer.borrow_mut() {
            Answer::Due(answer) => answer.poll_reset(cx).map(drop),
            Answer::Begun(answer) => answer.poll_reset(cx).map(drop),
            Answer::Over => Poll::Pending,
        })
        .await;
    }

    /// Whether the head of the answer was sent.
    pub(crate) fn has_answer(&self) -> bool {
        !matches!(&*self.answer.borrow(), Answer::Due(_))
    }

    /// Sends an interim answer.
    pub(crate) fn send_interim(&self, head: &Head) -> Result<(), Fault> {
        match &mut *self.answer.borrow_mut() {
            Answer::Due(answer) => {
                let response = response(head, Framing::AsIs, &mut Vec::new());
                answer.send_informational(response).map_err(|error| fault(&error))
            }
            Answer::Begun(_) | Answer::Over => Ok(()),
        }
    }

    /// Sends the head of the answer, and with it the end if `framing` says that nothing follows.
    pub(crate) fn begin(&self, head: &Head, framing: Framing, scratch: &mut Vec<u8>) -> Result<(), Fault> {
        let ends = matches!(framing, Framing::AsIs | Framing::Length(0));
        let response = response(head, framing, scratch);
        let mut answer = self.answer.borrow_mut();
        let Answer::Due(due) = &mut *answer else { return Err(Fault::Reset) };
        let stream = due.send_response(response, ends).map_err(|error| fault(&error))?;
        *answer = if ends { Answer::Over } else { Answer::Begun(stream) };
        drop(answer);
        if ends {
            self.link.answered();
        }
        Ok(())
    }

    /// The answer is whole but for `trailers`. That it can't be said is what the client already knows.
    pub(crate) fn finish(&self, trailers: Option<&Head>) {
        let Answer::Begun(mut stream) = self.answer.replace(Answer::Over) else { return };
        let ended = match trailers.map(trailer_map) {
            Some(trailers) if !trailers.is_empty() => stream.send_trailers(trailers),
            _ => stream.send_data(Bytes::new(), true),
        };
        if ended.is_ok() {
            self.link.answered();
        }
    }

    /// Gives an answer of our own, written as HTTP/1.1 has it.
    pub(crate) fn give(&self, written: &[u8]) -> Result<(), Fault> {
        let limits = Limits { max_bytes: usize::MAX, max_fields: usize::MAX };
        let mut head = Head::new();
        let read = http1::parse::response(written, &mut Scan::default(), &limits, b"GET", &mut head);
        let Ok(Some(answer)) = read else { return Err(Fault::Reset) };
        head.remove_hop_by_hop();
        let body = &written[answer.len..];
        let framing = if body.is_empty() { Framing::AsIs } else { Framing::Length(body.len() as u64) };
        self.begin(&head, framing, &mut Vec::new())?;
        if let Answer::Begun(mut stream) = self.answer.replace(Answer::Over) {
            stream.send_data(Bytes::copy_from_slice(body), true).map_err(|error| fault(&error))?;
            self.link.answered();
        }
        Ok(())
    }

    /// Lets the client see that its answer is not whole, or never comes.
    pub(crate) fn cut(&self) {
        match self.answer.replace(Answer::Over) {
            Answer::Due(mut answer) => answer.send_reset(Reason::INTERNAL_ERROR),
            Answer::Begun(mut answer) => answer.send_reset(Reason::INTERNAL_ERROR),
            Answer::Over => {}
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
        // Its connection may have nothing more to wait for.
        self.link.wake();
    }
}

impl Source for Call {
    /// Ready when something of the body is here, or its end.
    fn poll_readable(&self, cx: &mut Context<'_>, deadline: &Deadline) -> Poll<Result<(), Fault>> {
        within(deadline, cx, |cx| self.body.borrow_mut().poll(cx))
    }

    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        buffer: &mut Buffer,
    ) -> Poll<Result<usize, Fault>> {
        let mut body = self.body.borrow_mut();
        ready!(within(deadline, cx, |cx| body.poll(cx)))?;
        let taken = body.data.len().min(buffer.room());
        buffer.tail().extend_from_slice(&body.data.split_to(taken));
        // The client may send as much again: what it sent before has a place to go to.
        body.stream.flow_control().release_capacity(taken).map_err(|error| fault(&error))?;
        Poll::Ready(Ok(taken))
    }

    fn trailers(&self) -> Option<Box<Head>> {
        self.body.borrow().trailers.clone()
    }

    fn clear_socket(&self) -> Option<&Stream> {
        None
    }
}

impl Sink for Call {
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        parts: [&[u8]; 3],
        leave: Leave,
    ) -> Poll<Result<usize, Fault>> {
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let mut answer = self.answer.borrow_mut();
        let Answer::Begun(stream) = &mut *answer else { return Poll::Ready(Err(Fault::Reset)) };
        let piece = wanted.min(PIECE);
        let room = ready!(within(deadline, cx, |cx| poll_capacity(stream, piece, cx)))?;
        let taken = room.min(piece);
        let last = leave == Leave::WithTheEnd && taken == wanted;
        stream.send_data(joined(parts, taken), last).map_err(|error| fault(&error))?;
        self.link.gave(taken);
        if last {
            *answer = Answer::Over;
            self.link.answered();
        }
        Poll::Ready(Ok(taken))
    }

    fn queued(&self) -> usize {
        0
    }

    fn clear_socket(&self) -> Option<&Stream> {
        None
    }
}

impl Incoming {
    /// Ready when there is data, or no more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while self.data.is_empty() && !self.ended {
            if let Some(data) = ready!(self.stream.poll_data(cx)) {
                self.data = data.map_err(|error| fault(&error))?;
                self.count.data(self.data.len()).map_err(Fault::Malformed)?;
                continue;
            }
            let trailers = ready!(self.stream.poll_trailers(cx)).map_err(|error| fault(&error))?;
            self.count.end().map_err(Fault::Malformed)?;
            if let Some(map) = trailers {
                let mut head = Box::new(Head::new());
                trailers::read(fields(&map), &self.limits, &mut head).map_err(Fault::Malformed)?;
                self.trailers = Some(head);
            }
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// How much the stream takes of `wanted`, when it takes some.
fn poll_capacity(
    stream: &mut SendStream<Bytes>,
    wanted: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Fault>> {
    stream.reserve_capacity(wanted);
    loop {
        let room = stream.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(fault(&error))),
            None => return Poll::Ready(Err(Fault::Reset)),
        }
    }
}

/// The first `taken` bytes of `parts`.
fn joined(parts: [&[u8]; 3], taken: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(taken);
    for part in parts {
        let left = taken - bytes.len();
        bytes.put_slice(&part[..left.min(part.len())]);
    }
    bytes.freeze()
}

/// The list of fields that a request is, pseudo-header fields first. The h2 crate has looked at those and left out the
/// scheme where there is no authority.
fn list(parts: &Parts) -> impl Iterator<Item = (&[u8], &[u8])> {
    let Parts { method, uri, headers, .. } = parts;
    let is_connect = method == http::Method::CONNECT;
    let scheme = uri.scheme_str().or(if is_connect { None } else { Some("http") });
    let path = uri.path_and_query().map(http::uri::PathAndQuery::as_str).filter(|_| !is_connect);
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let pseudo =
        [(":method", Some(method.as_str())), (":scheme", scheme), (":authority", authority), (":path", path)];
    let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name.as_bytes(), value?.as_bytes())));
    pseudo.chain(fields(headers))
}

fn fields(map: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

fn response(head: &Head, framing: Framing, scratch: &mut Vec<u8>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let map = response.headers_mut();
    answer::write(head, framing, scratch, |name, value| add(map, name, value));
    response
}

fn trailer_map(head: &Head) -> HeaderMap {
    let mut map = HeaderMap::new();
    trailers::write(head, &mut Vec::new(), |name, value| add(&mut map, name, value));
    map
}

/// Adds a field; `:status` is said otherwise, and is no name that a map takes.
fn add(map: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        map.append(name, value);
    }
}

/// Polls unless a limit has passed; while it is pending, the limit wakes the task too.
fn within<T>(
    deadline: &Deadline,
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<Result<T, Fault>>,
) -> Poll<Result<T, Fault>> {
    if let Some(phase) = deadline.expired() {
        return Poll::Ready(Err(Fault::TimedOut(phase)));
    }
    match poll(cx) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => deadline.poll_expired(cx).map(|phase| Err(Fault::TimedOut(phase))),
    }
}

/// However a stream broke, its client is gone: it was reset, or its connection ended.
fn fault(_: &h2::Error) -> Fault {
    Fault::Reset
}
