//! What a head costs: `cargo run --release -p fairlead-wire --example head_cost`.
//!
//! Prints the best of several rounds, in nanoseconds, for reading a typical request of eight fields, writing it
//! again, and both for the answer. A figure to compare with the last one, not a benchmark.

#![expect(clippy::print_stdout, reason = "the figures are its output")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::hint::black_box;
use std::time::Instant;

use fairlead_wire::Head;
use fairlead_wire::http1::{Framing, Limits, Scan, encode, parse};

const REQUEST: &[u8] =
    b"GET /api/v1/items?page=2 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: curl/8.5.0\r\n\
    Accept: */*\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n\
    X-Request-ID: 8f14e45f\r\nConnection: keep-alive\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 06:00:00 GMT\r\nServer: origin\r\n\
    Content-Type: application/json\r\nContent-Length: 128\r\nCache-Control: no-store\r\n\r\n";
const LIMITS: Limits = Limits { max_bytes: 64 * 1024, max_fields: 128 };

fn main() {
    let mut head = Head::new();
    let mut scan = Scan::default();
    let mut out = Vec::with_capacity(1024);
    let read = best(|| {
        let _ = black_box(parse::request(black_box(REQUEST), &mut scan, &LIMITS, &mut head));
    });
    let filter = best(|| {
        let _ = black_box(parse::request(black_box(REQUEST), &mut scan, &LIMITS, &mut head));
        head.remove_hop_by_hop();
        head.append(b"X-Forwarded-For", b"192.0.2.1");
    });
    let write = best(|| {
        out.clear();
        encode::request(black_box(&head), Framing::AsIs, &mut out);
    });
    println!(
        "request {} B: read {read:.0} ns, filter {:.0} ns, write {write:.0} ns",
        REQUEST.len(),
        filter - read
    );
    let read = best(|| {
        let _ = black_box(parse::response(black_box(ANSWER), &mut scan, &LIMITS, b"GET", &mut head));
    });
    let write = best(|| {
        out.clear();
        encode::response(black_box(&head), Framing::Length(128), &mut out);
    });
    println!("answer {} B: read {read:.0} ns, write {write:.0} ns", ANSWER.len());
}

/// Nanoseconds a call takes in the best of 20 rounds.
fn best(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 50_000;
    let mut best = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    best
}
