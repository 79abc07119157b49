//! A client of HTTP/2: the h2 crate's, driven only while a test waits for it, and one that sends frames as it likes.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::time::timeout;

use super::super::PATIENCE;

/// One connection.
pub(super) struct Client {
    runtime: LocalRuntime,
    requests: SendRequest<Bytes>,
}

/// One request on its way.
pub(super) struct Asked {
    pub(super) body: SendStream<Bytes>,
    answer: ResponseFuture,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Response<()>,
    pub(super) body: String,
    pub(super) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name).map(|value| value.to_str().expect("text"))
    }
}

/// A request's head.
pub(super) fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request")
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let runtime = runtime.expect("a runtime");
        let requests = runtime.block_on(async {
            let socket = tokio::net::TcpStream::connect(address).await.expect("a connection");
            let (requests, connection) = h2::client::handshake(socket).await.expect("a handshake");
            drop(tokio::task::spawn_local(connection));
            requests
        });
        Self { runtime, requests }
    }

    /// Runs `work`, and the connection meanwhile.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(PATIENCE, work).await.expect("in time") })
    }

    /// Sends what the connection has to send.
    pub(super) fn go(&self) {
        self.wait(async {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Sends a request; `ends`: it has no body.
    pub(super) fn ask(&mut self, request: Request<()>, ends: bool) -> Asked {
        let (answer, body) = self.requests.send_request(request, ends).expect("a request");
        self.go();
        Asked { body, answer }
    }

    /// Sends a GET.
    pub(super) fn get(&mut self) -> Asked {
        self.ask(request("GET", "http://x.example/", &[]), true)
    }

    /// Waits until another request may be sent; how it went.
    pub(super) fn ready(&mut self) -> Result<(), h2::Error> {
        let Self { runtime, requests } = self;
        runtime.block_on(async {
            timeout(PATIENCE, poll_fn(|cx| requests.poll_ready(cx))).await.expect("in time")
        })
    }

    /// Waits until the connection lets no request be sent any more.
    pub(super) fn until_over(&mut self) {
        while self.ready().is_ok() {
            self.go();
        }
    }

    /// The head of the answer, and its body.
    pub(super) fn head(
        &self,
        asked: Asked,
    ) -> Result<(Response<()>, RecvStream, SendStream<Bytes>), h2::Error> {
        let Asked { body, answer } = asked;
        let (head, stream) = self.wait(answer)?.into_parts();
        Ok((Response::from_parts(head, ()), stream, body))
    }

    /// The whole answer.
    pub(super) fn answer(&self, asked: Asked) -> Result<Answer, h2::Error> {
        let (head, stream, _body) = self.head(asked)?;
        let (body, trailers) = self.rest(stream)?;
        Ok(Answer { head, body, trailers })
    }

    /// What is left of a body, and its trailers.
    pub(super) fn rest(&self, mut stream: RecvStream) -> Result<(String, Option<HeaderMap>), h2::Error> {
        self.wait(async {
            let mut body = Vec::new();
            while let Some(piece) = stream.data().await {
                let piece = piece?;
                stream.flow_control().release_capacity(piece.len())?;
                body.extend_from_slice(&piece);
            }
            Ok((String::from_utf8(body).expect("text"), stream.trailers().await?))
        })
    }

    /// Sends a piece of a body as the flow control lets it.
    pub(super) fn send(&self, body: &mut SendStream<Bytes>, mut bytes: Bytes, ends: bool) {
        self.wait(async {
            while !bytes.is_empty() {
                body.reserve_capacity(bytes.len());
                let room = poll_fn(|cx| body.poll_capacity(cx)).await.expect("a stream").expect("room");
                let piece = bytes.split_to(room.min(bytes.len()));
                body.send_data(piece, ends && bytes.is_empty()).expect("sent");
            }
        });
        self.go();
    }
}

/// A connection on which a test sends frames as it likes.
pub(super) struct Frames(TcpStream);

/// Kind, flags, stream, payload.
pub(super) type Frame = (u8, u8, u32, Vec<u8>);

pub(super) const GOAWAY: u8 = 7;
pub(super) const RST_STREAM: u8 = 3;

impl Frames {
    /// Connects and greets.
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let mut frames = Self(stream);
        frames.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
        assert!(frames.send(4, 0, 0, &[]), "a SETTINGS frame");
        frames
    }

    /// Sends a frame; `false` if nothing is taken any more.
    pub(super) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).is_ok()
    }

    /// Opens a stream with a GET that has no body.
    pub(super) fn get(&mut self, stream: u32) -> bool {
        // RFC 7541 C.2: GET, http, / from the static table, and `:authority` literally.
        self.send(1, 5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'x'])
    }

    /// The next frame; `None` at the end of the connection.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let [high, middle, low, kind, flags, a, b, c, d] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some((kind, flags, u32::from_be_bytes([a, b, c, d]), payload))
    }

    /// The code with which the connection is given up.
    pub(super) fn goaway(&mut self) -> Option<u32> {
        while let Some((kind, _, _, payload)) = self.next() {
            if kind == GOAWAY {
                return Some(u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]));
            }
        }
        None
    }
}
