use std::future::poll_fn;
use std::rc::Rc;

use fairlead_wire::http1::{Body, Framing, Limits};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Pipes, WORTHWHILE};
use crate::buffer::Buffers;
use crate::io::tests::{deadline, run, tcp_pair, unix_pair};
use crate::io::{Fault, Stream};
use crate::proxy::pump::{Ends, Job, Pump, PumpError, Side};

const LIMITS: Limits = Limits { max_bytes: 4096, max_fields: 32 };

fn job(length: u64) -> Job {
    let body = Body::Length(length);
    Job {
        body,
        framing: Framing::AsIs,
        trailers: LIMITS,
        max_body: None,
        read: None,
        write: None,
        ends_stream: false,
    }
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251 + at / 65_521) as u8).collect()
}

/// A body from `source` to `sink` through a pump; what arrived, and what was left at the source.
async fn relay(
    (from, source): (Stream, impl AsyncWrite + Unpin),
    (to, sink): (Stream, impl AsyncRead + Unpin),
    length: usize,
    early: usize,
    pieces: usize,
) {
    let body = payload(length);
    let (_wheel, deadline) = deadline();
    let pipes = Pipes::new();
    let buffers = Buffers::new();
    let (mut input, mut head) = (buffers.buffer(), buffers.buffer());
    input.tail().extend_from_slice(&body[..early]);
    head.tail().extend_from_slice(b"head");
    let (mut source, mut sink) = (source, sink);
    let send = async {
        for piece in body[early..].chunks(pieces) {
            source.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        source.write_all(b"next").await.unwrap();
        source
    };
    let pump = async {
        let mut pump = Pump::new(&job(length as u64), head);
        let mut ends = Ends { from: &from, input: &mut input, to: &to, deadline: &deadline, pipes: &pipes };
        poll_fn(|cx| pump.poll(cx, &mut ends)).await.unwrap();
        assert_eq!(pump.payload(), length as u64);
        assert_eq!(pump.sent(), length as u64 + 4);
        to.shutdown_write().unwrap();
    };
    let take = async {
        let mut taken = Vec::new();
        sink.read_to_end(&mut taken).await.unwrap();
        taken
    };
    let (_source, (), taken) = tokio::join!(send, pump, take);
    assert_eq!(&taken[..4], b"head");
    assert!(taken[4..] == body, "the body arrived changed");
    assert_eq!((pipes.free.borrow().len(), pipes.open.get()), (1, 1), "the pipe is kept for the next body");
    input.need_small();
    while input.len() < 4 {
        from.read(&deadline, &mut input).await.unwrap();
    }
    assert_eq!(input.filled(), b"next");
}

#[test]
fn three_mebibytes_arrive_byte_for_byte_whatever_their_bounds() {
    const LENGTH: usize = 3 * 1024 * 1024 + 1;
    for (early, pieces) in [(0, 1 << 20), (1, 65_535), (8_191, 4_097), (7_000, 100_003)] {
        run(async {
            relay(tcp_pair().await, tcp_pair().await, LENGTH, early, pieces).await;
            relay(unix_pair(), tcp_pair().await, LENGTH, early, pieces).await;
            let narrow = unix_pair();
            SockRef::from(&narrow.0).set_send_buffer_size(1).unwrap();
            relay(tcp_pair().await, narrow, LENGTH, early, pieces).await;
        });
    }
}

#[test]
fn a_body_that_is_cut_short_is_the_sources_fault() {
    run(async {
        let (from, mut source) = tcp_pair().await;
        let (to, _sink) = tcp_pair().await;
        let (_wheel, deadline) = deadline();
        let pipes = Pipes::new();
        let buffers = Buffers::new();
        source.write_all(&[0; 100]).await.unwrap();
        drop(source);
        let mut pump = Pump::new(&job(WORTHWHILE), buffers.buffer());
        let mut input = buffers.buffer();
        let mut ends = Ends { from: &from, input: &mut input, to: &to, deadline: &deadline, pipes: &pipes };
        let error = PumpError { side: Side::From, fault: Fault::Closed };
        assert_eq!(poll_fn(|cx| pump.poll(cx, &mut ends)).await, Err(error));
    });
}

#[test]
fn pipes_in_use_are_bounded_and_one_with_bytes_in_it_is_not_kept() {
    let pipes = Pipes::new();
    let mut used: Vec<_> = std::iter::from_fn(|| Pipes::take(&pipes)).collect();
    assert_eq!(used.len(), super::MOST);
    used[0].held = 1;
    drop(used);
    assert_eq!(pipes.free.borrow().len(), super::MOST - 1);
    assert_eq!(pipes.open.get(), super::MOST - 1);
    assert_eq!(Rc::strong_count(&pipes), 1);
}
