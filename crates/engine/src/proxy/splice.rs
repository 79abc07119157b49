//! splice(2): large bodies go from socket to socket without being copied to us and back.
//!
//! The kernel moves pages through a pipe. For 1 MiB bodies this saves a third of the CPU; below 256 KiB the further
//! calls cost more than the copies.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::Interest;

use crate::clock::Deadline;
use crate::io::{Fault, Stream, within};

/// Bodies with at least this much left are spliced.
pub(crate) const WORTHWHILE: u64 = 256 * 1024;

/// What a pipe holds, where the system lets us ask for it; else its own 64 KiB.
const PIPE_SIZE: usize = 256 * 1024;

/// Pipes of one worker, each two descriptors. Bodies beyond are copied.
const MOST: usize = 128;

/// The pipes of one worker.
pub(crate) struct Pipes {
    free: RefCell<Vec<Pipe>>,
    open: Cell<usize>,
}

struct Pipe {
    input: OwnedFd,
    output: OwnedFd,
}

/// A pipe in use by one body.
pub(crate) struct Splice {
    pipe: Option<Pipe>,
    held: usize,
    home: Rc<Pipes>,
}

impl Pipes {
    /// No pipe yet: they are made when they are first needed, and kept.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { free: RefCell::new(Vec::new()), open: Cell::new(0) })
    }

    /// A pipe for one body; `None` when there are enough, or the process is out of descriptors.
    pub(crate) fn take(home: &Rc<Self>) -> Option<Splice> {
        let kept = home.free.borrow_mut().pop();
        let pipe = match kept {
            Some(pipe) => pipe,
            None if home.open.get() < MOST => home.open().ok()?,
            None => return None,
        };
        Some(Splice { pipe: Some(pipe), held: 0, home: Rc::clone(home) })
    }

    fn open(&self) -> io::Result<Pipe> {
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A user has a budget of pipe memory (pipe-user-pages-soft); a pipe beyond it works, with less at a time.
        let _ = fcntl_setpipe_size(&input, PIPE_SIZE);
        self.open.set(self.open.get() + 1);
        Ok(Pipe { input, output })
    }
}

impl Splice {
    /// Bytes in the pipe.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Fills the empty pipe with up to `left` bytes of `from`; 0 is the end of the stream.
    pub(crate) fn poll_in(
        &mut self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        from: &Stream,
        left: u64,
    ) -> Poll<Result<usize, Fault>> {
        debug_assert_eq!(self.held, 0, "a pipe that isn't empty may be what would block");
        let wanted = usize::try_from(left).unwrap_or(PIPE_SIZE).min(PIPE_SIZE);
        let pipe = self.pipe();
        let moved = within(deadline, cx, |cx| {
            loop {
                ready!(from.poll_read_ready(cx))?;
                // A pipe is also full when its slots are, so a short count says nothing of the socket: only an empty
                // one ends the reading here.
                let moved = from.attempt(Interest::READABLE, || {
                    Ok(rustix::pipe::splice(from, None, &pipe.input, None, wanted, flags())?)
                });
                match moved {
                    Err(error) if again(&error) => {}
                    result => return Poll::Ready(result),
                }
            }
        });
        if let Poll::Ready(Ok(moved)) = moved {
            self.held = moved;
        }
        moved
    }

    /// Sends what the pipe holds, or a part of it.
    pub(crate) fn poll_out(
        &mut self,
        cx: &mut Context<'_>,
        deadline: &Deadline,
        to: &Stream,
    ) -> Poll<Result<usize, Fault>> {
        let held = self.held;
        let pipe = self.pipe();
        let moved = within(deadline, cx, |cx| {
            loop {
                ready!(to.poll_write_ready(cx))?;
                let moved = to.attempt(Interest::WRITABLE, || {
                    Ok(rustix::pipe::splice(&pipe.output, None, to, None, held, flags())?)
                });
                match moved {
                    Err(error) if again(&error) => {}
                    result => return Poll::Ready(result),
                }
            }
        });
        if let Poll::Ready(Ok(moved)) = moved {
            self.held -= moved;
        }
        moved
    }

    fn pipe(&self) -> &Pipe {
        self.pipe.as_ref().expect("invariant: the pipe is only taken out in drop")
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        let home = &self.home;
        // One with another body's bytes in it is closed.
        if let Some(pipe) = self.pipe.take()
            && self.held == 0
        {
            home.free.borrow_mut().push(pipe);
        } else {
            home.open.set(home.open.get() - 1);
        }
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
