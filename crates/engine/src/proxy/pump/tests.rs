use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use fairlead_wire::http1::encode::{chunk_size, last_chunk};
use fairlead_wire::http1::{Body, Decoder, Framing, Limits};
use proptest::prelude::*;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Ends, Job, Limit, Pump, PumpError, Side};
use crate::buffer::{Buffer, Buffers};
use crate::clock::{Deadline, Phase, Wheel, now};
use crate::io::tests::{run, unix_pair};
use crate::io::{Fault, Stream};
use crate::proxy::splice::Pipes;

const LIMITS: Limits = Limits { max_bytes: 4096, max_fields: 32 };
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

fn job(body: Body, framing: Framing) -> Job {
    Job { body, framing, trailers: LIMITS, max_body: None, read: None, write: None, ends_stream: false }
}

/// What a pump works between, and the peers at its two ends.
struct Rig {
    wheel: Rc<Wheel>,
    deadline: Deadline,
    pipes: Rc<Pipes>,
    buffers: Rc<Buffers>,
    from: Stream,
    input: Buffer,
    to: Stream,
}

impl Rig {
    /// A rig with `input` received already; its source's peer, its sink's peer.
    fn new(input: &[u8]) -> (Self, UnixStream, UnixStream) {
        let wheel = Wheel::new(now());
        let buffers = Buffers::new();
        let (from, source) = unix_pair();
        let (to, sink) = unix_pair();
        let mut buffer = buffers.buffer();
        buffer.tail().extend_from_slice(input);
        let deadline = wheel.deadline();
        (Self { wheel, deadline, pipes: Pipes::new(), buffers, from, input: buffer, to }, source, sink)
    }

    fn head(&self) -> Buffer {
        let mut head = self.buffers.buffer();
        head.tail().extend_from_slice(HEAD);
        head
    }

    async fn pump(&mut self, pump: &mut Pump) -> Result<(), PumpError> {
        let mut ends = Ends {
            from: &self.from,
            input: &mut self.input,
            to: &self.to,
            deadline: &self.deadline,
            pipes: &self.pipes,
        };
        poll_fn(|cx| pump.poll(cx, &mut ends)).await
    }
}

/// How a body is sent to the pump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Length,
    Chunked,
    Close,
}

/// One way for a payload to go through a pump.
#[derive(Debug, Clone)]
struct Course {
    payload: Vec<u8>,
    sent: Sent,
    framing: u8,
    chunk: usize,
    /// Bytes that the source sends at a time.
    split: usize,
    /// Bytes of the message that were received with its head.
    early: usize,
    /// Bytes that the sink takes at a time, from a send buffer of the smallest size.
    window: usize,
    /// Bytes that follow the body.
    after: Vec<u8>,
}

impl Course {
    fn body(&self) -> Body {
        match self.sent {
            Sent::Length => Body::Length(self.payload.len() as u64),
            Sent::Chunked => Body::Chunked,
            Sent::Close => Body::Close,
        }
    }

    fn framing(&self) -> Framing {
        match (self.framing, self.sent) {
            (0, _) => Framing::Chunked,
            (1, Sent::Length) => Framing::Length(self.payload.len() as u64),
            _ => Framing::Close,
        }
    }

    fn message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        if self.sent == Sent::Chunked {
            for chunk in self.payload.chunks(self.chunk) {
                chunk_size(chunk.len(), &mut message);
                message.extend_from_slice(chunk);
                message.extend_from_slice(b"\r\n");
            }
            last_chunk(None, &mut message);
        } else {
            message.extend_from_slice(&self.payload);
        }
        if self.sent != Sent::Close {
            message.extend_from_slice(&self.after);
        }
        message
    }

    /// What the sink received, and what was left in the source's buffer or socket.
    async fn run(&self) -> (Vec<u8>, Vec<u8>) {
        let message = self.message();
        let (early, late) = message.split_at(self.early.min(message.len()));
        let (mut rig, mut source, mut sink) = Rig::new(early);
        SockRef::from(&rig.to).set_send_buffer_size(1).unwrap();
        let source_task = async {
            for piece in late.chunks(self.split) {
                source.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            source.shutdown().await.unwrap();
        };
        let relay = async {
            let mut pump = Pump::new(&job(self.body(), self.framing()), rig.head());
            rig.pump(&mut pump).await.unwrap();
            assert_eq!(pump.payload(), self.payload.len() as u64);
            assert!(pump.is_decoded());
            rig.to.shutdown_write().unwrap();
            let mut left = rig.input.filled().to_vec();
            rig.input.clear();
            rig.input.need_large();
            while rig.from.read(&rig.deadline, &mut rig.input).await.unwrap() > 0 {
                left.extend_from_slice(rig.input.filled());
                rig.input.clear();
            }
            (pump.sent(), left)
        };
        let take = async {
            let mut taken = Vec::new();
            let mut window = vec![0; self.window];
            loop {
                match sink.read(&mut window).await.unwrap() {
                    0 => return taken,
                    count => taken.extend_from_slice(&window[..count]),
                }
                tokio::task::yield_now().await;
            }
        };
        let ((), (sent, left), taken) = tokio::join!(source_task, relay, take);
        assert_eq!(sent, taken.len() as u64);
        (taken, left)
    }
}

/// The payload of a chunked message, which must end where `bytes` do.
fn dechunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(Body::Chunked, LIMITS);
    let mut payload = Vec::new();
    loop {
        let step = decoder.decode(bytes).unwrap();
        payload.extend_from_slice(&bytes[step.data.clone()]);
        bytes = &bytes[step.consumed..];
        if step.done {
            assert!(bytes.is_empty());
            return payload;
        }
        assert!(step.consumed > 0, "the chunks don't end");
    }
}

fn courses() -> impl Strategy<Value = Course> {
    let sent = prop_oneof![Just(Sent::Length), Just(Sent::Chunked), Just(Sent::Close)];
    let size = prop_oneof![3 => 0..300_usize, 2 => 0..20_000_usize, 1 => 60_000..200_000_usize];
    let step = || prop_oneof![1..20_usize, 500..5_000_usize, 8_000..100_000_usize];
    let after = proptest::collection::vec(any::<u8>(), 0..40);
    (size, sent, 0..2_u8, step(), step(), 0..8_000_usize, step(), after).prop_map(
        |(size, sent, framing, chunk, split, early, window, after)| Course {
            payload: (0..size).map(|at| (at * 31 + at / 251) as u8).collect(),
            // A payload in small pieces takes a turn of the loop for each.
            chunk: chunk.max(size / 2_000),
            split: split.max(size / 2_000),
            window: window.max(size / 2_000),
            sent,
            framing,
            early,
            after,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_split_and_any_window_give_the_same_bytes(course in courses()) {
        let (taken, left) = run(course.run());
        let body = taken.strip_prefix(HEAD).expect("the head goes ahead");
        if course.framing() == Framing::Chunked {
            prop_assert_eq!(dechunked(body), course.payload);
        } else {
            prop_assert!(body == course.payload);
        }
        let after = if course.sent == Sent::Close { Vec::new() } else { course.after };
        prop_assert_eq!(left, after);
    }
}

/// What one receive at the sink's peer gets, when the pump has ended.
fn first_send(body: Body, framing: Framing, received: &[u8]) -> Vec<u8> {
    run(async {
        let (mut rig, _source, mut sink) = Rig::new(received);
        let mut pump = Pump::new(&job(body, framing), rig.head());
        rig.pump(&mut pump).await.unwrap();
        assert!(rig.input.is_empty());
        // A Unix stream keeps no bounds of sends, but everything must be there.
        let mut taken = vec![0; 100_000];
        let count = sink.read(&mut taken).await.unwrap();
        taken.truncate(count);
        taken
    })
}

#[test]
fn a_message_without_a_body_is_its_head() {
    assert_eq!(first_send(Body::None, Framing::AsIs, b""), HEAD);
    assert_eq!(first_send(Body::Length(0), Framing::Length(0), b""), HEAD);
}

#[test]
fn an_empty_body_in_chunks_has_its_last_chunk() {
    let expected = [HEAD, b"0\r\n\r\n"].concat();
    assert_eq!(first_send(Body::Length(0), Framing::Chunked, b""), expected);
    assert_eq!(first_send(Body::Chunked, Framing::Chunked, b"0\r\n\r\n"), expected);
}

#[test]
fn chunks_of_a_source_are_not_those_of_the_sink_but_their_trailers_are() {
    let sent =
        first_send(Body::Chunked, Framing::Chunked, b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nDigest: q\r\n\r\n");
    assert_eq!(sent, [HEAD, b"3\r\nabc\r\n1\r\nd\r\n0\r\nDigest: q\r\n\r\n"].concat());
}

#[test]
fn a_sender_that_ends_early_is_never_taken_for_complete() {
    for (body, received) in [(Body::Length(10), &b"123456789"[..]), (Body::Chunked, b"3\r\nabc\r\n0\r\n")] {
        run(async {
            let (mut rig, source, mut sink) = Rig::new(received);
            drop(source);
            let mut pump = Pump::new(&job(body, Framing::Chunked), rig.head());
            let error = PumpError { side: Side::From, fault: Fault::Closed };
            assert_eq!(rig.pump(&mut pump).await, Err(error));
            drop(rig);
            let mut taken = Vec::new();
            sink.read_to_end(&mut taken).await.unwrap();
            assert!(!taken.ends_with(b"0\r\n\r\n"));
        });
    }
}

#[test]
fn a_malformed_chunk_is_the_sources_fault() {
    run(async {
        let (mut rig, _source, _sink) = Rig::new(b"3\r\nabcX");
        let mut pump = Pump::new(&job(Body::Chunked, Framing::Chunked), rig.head());
        let error = rig.pump(&mut pump).await.unwrap_err();
        assert_eq!(error.side, Side::From);
        assert!(matches!(error.fault, Fault::Malformed(refusal) if refusal.status == 400));
    });
}

#[test]
fn a_body_above_the_limit_is_refused_before_its_excess_is_sent() {
    run(async {
        let (mut rig, _source, mut sink) = Rig::new(b"3\r\nabc\r\n3\r\ndef\r\n");
        let limited = Job { max_body: Some(5), ..job(Body::Chunked, Framing::Close) };
        let mut pump = Pump::new(&limited, rig.head());
        let error = PumpError { side: Side::From, fault: Fault::TooLarge };
        assert_eq!(rig.pump(&mut pump).await, Err(error));
        drop((rig, pump));
        let mut taken = Vec::new();
        sink.read_to_end(&mut taken).await.unwrap();
        assert!(!taken.ends_with(b"def"));
    });
}

#[test]
fn a_sink_that_went_away_is_the_sinks_fault() {
    run(async {
        let (mut rig, _source, sink) = Rig::new(b"abc");
        drop(sink);
        let mut pump = Pump::new(&job(Body::Length(3), Framing::Length(3)), rig.head());
        let error = PumpError { side: Side::To, fault: Fault::Reset };
        assert_eq!(rig.pump(&mut pump).await, Err(error));
    });
}

#[test]
fn a_body_that_waits_holds_no_memory() {
    run(async {
        let (mut rig, _source, _sink) = Rig::new(b"");
        let mut pump = Pump::new(&job(Body::Length(100_000), Framing::AsIs), rig.head());
        tokio::select! {
            biased;
            result = rig.pump(&mut pump) => panic!("it isn't over: {result:?}"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!((pump.out.capacity(), rig.input.capacity()), (0, 0));
    });
}

/// The phase that ends a body of which nothing more comes, or which nobody takes, and when.
fn waits(job: &Job, received: &[u8], after: Duration) -> Option<Phase> {
    run(async {
        let (mut rig, _source, _sink) = Rig::new(received);
        SockRef::from(&rig.to).set_send_buffer_size(1).unwrap();
        let mut pump = Pump::new(job, rig.head());
        let wheel = Rc::clone(&rig.wheel);
        tokio::select! {
            biased;
            result = rig.pump(&mut pump) => panic!("it can't be over: {result:?}"),
            () = tokio::task::yield_now() => wheel.advance(now() + after),
        }
        rig.deadline.expired()
    })
}

#[test]
fn a_silent_source_and_a_deaf_sink_are_told_by_their_phases() {
    let gap = |phase| Limit { phase, gap: Duration::from_secs(3), lowest_rate: false };
    let job = Job {
        read: Some(gap(Phase::Body)),
        write: Some(gap(Phase::Write)),
        ..job(Body::Length(1 << 20), Framing::AsIs)
    };
    let received = vec![0; 1 << 18];
    assert_eq!(waits(&job, b"some", Duration::from_millis(2_800)), None);
    assert_eq!(waits(&job, b"some", Duration::from_millis(3_200)), Some(Phase::Body));
    // The source isn't waited for while its bytes aren't taken.
    assert_eq!(waits(&job, &received, Duration::from_millis(3_200)), Some(Phase::Write));
}

#[test]
fn a_backend_that_echoes_while_it_is_sent_to_blocks_nobody() {
    const LENGTH: usize = 2_000_003;
    run(async {
        let (_wheel, deadline) = crate::io::tests::deadline();
        let (pipes, buffers) = (Pipes::new(), Buffers::new());
        let (client, client_peer) = unix_pair();
        let (backend, backend_peer) = unix_pair();
        let (mut from_client, mut from_backend) = (buffers.buffer(), buffers.buffer());
        let chunked = job(Body::Chunked, Framing::Chunked);
        let mut up = Pump::new(&job(Body::Length(LENGTH as u64), Framing::Chunked), buffers.buffer());
        let mut down = Pump::new(&chunked, buffers.buffer());
        let relay = poll_fn(|cx| {
            let (from, to) = (&client, &backend);
            let deadline = &deadline;
            let pipes = &pipes;
            let sent = up.poll(cx, &mut Ends { from, input: &mut from_client, to, deadline, pipes });
            let back = Ends { from: to, input: &mut from_backend, to: from, deadline, pipes };
            let answered = down.poll(cx, &mut { back });
            if sent.is_ready() { answered } else { std::task::Poll::Pending }
        });
        let (mut asked, mut ask) = client_peer.into_split();
        let (mut echo_from, mut echo_to) = backend_peer.into_split();
        let client_sends = async { ask.write_all(&vec![b'x'; LENGTH]).await.unwrap() };
        let client_takes = async {
            let mut taken = Vec::new();
            while !taken.ends_with(b"\r\n0\r\n\r\n") {
                asked.read_buf(&mut taken).await.unwrap();
            }
            dechunked(&taken).len()
        };
        let echo = async {
            tokio::select! {
                result = tokio::io::copy(&mut echo_from, &mut echo_to) => panic!("it never ends: {result:?}"),
                done = async { tokio::join!(relay, client_sends, client_takes) } => done,
            }
        };
        let (relayed, (), taken) = echo.await;
        assert_eq!((relayed, taken), (Ok(()), LENGTH));
    });
}
