//! Closing without taking the answer away: while bytes of a request are unread, closing resets the connection, and a
//! reset makes the client's system throw away what of the answer it hasn't read (RFC 9112 9.6).

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use crate::buffer::Buffers;
use crate::clock::{self, Deadline, Phase};
use crate::io::Stream;

/// For so long what the client still sends is thrown away. Long enough for an answer to cross the world and be read.
const LIMIT: Duration = Duration::from_secs(5);

/// And so much of it: more is a client that doesn't look at its answer.
const MOST: usize = 16 * 1024 * 1024;

/// Says that nothing more comes, and reads until the client has nothing more either.
pub(crate) async fn drain(stream: &Stream, deadline: &Deadline, buffers: &Rc<Buffers>) {
    deadline.set(Phase::Idle, clock::now() + LIMIT);
    if poll_fn(|cx| stream.poll_finish(cx, deadline)).await.is_err() {
        return;
    }
    let mut buffer = buffers.buffer();
    let mut thrown_away = 0;
    while thrown_away < MOST {
        // The client may be silent until the limit: it is waited for without a buffer.
        buffer.release();
        if stream.readable(deadline).await.is_err() {
            return;
        }
        buffer.need_large();
        match stream.read(deadline, &mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(received) => thrown_away += received,
        }
        buffer.clear();
    }
}
