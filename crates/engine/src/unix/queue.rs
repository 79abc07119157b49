//! What a socket's peer hasn't taken yet.

use std::ffi::c_int;
use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// `SIOCOUTQ` of tcp(7) and unix(7), which has the number of `TIOCOUTQ`.
const OUTPUT_QUEUE: Opcode = libc::TIOCOUTQ as Opcode;

/// Bytes in the send queue that the peer hasn't acknowledged; of a Unix socket, what they occupy. 0 if nobody can say.
pub(crate) fn output_queue(socket: impl AsFd) -> usize {
    // SAFETY: for a socket this operation writes one int, the getter's output, and reads nothing of ours.
    let queued = unsafe { ioctl(socket, Getter::<OUTPUT_QUEUE, c_int>::new()) };
    queued.ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0)
}
