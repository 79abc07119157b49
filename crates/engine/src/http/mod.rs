//! A connection's requests.

use std::rc::Rc;

use crate::io::{Peer, Stream};
use crate::listener::ConnectionGuard;
use crate::published::ListenerCell;
use crate::worker::Worker;

#[derive(Default)]
pub(crate) struct SessionPool;

pub(crate) fn serve(
    _worker: Rc<Worker>,
    _listener: Rc<ListenerCell>,
    _stream: Stream,
    _peer: Peer,
    _guard: ConnectionGuard,
) {
}
