//! A connection's socket, and the bytes that are collected for it until they leave together.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use super::credit::Credit;
use super::outbox::Outbox;
use crate::buffer::{Buffer, LARGE};
use crate::clock::{self, Deadline};
use crate::io::{Fault, Leave, Sink, Stream};

/// Above this bytes leave at once: a later send would carry no fewer packets.
const ENOUGH: usize = 16 * 1024;

/// Collected at the most. Who has so much lying here takes nothing, and is given nothing more.
const MOST: usize = LARGE;

/// What a connection's task, its streams and the outbox share.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) deadline: Rc<Deadline>,
    out: RefCell<Buffer>,
    /// It stands in the outbox.
    marked: Cell<bool>,
    /// The socket took no more. When it does again, the connection's task is woken.
    full: Cell<bool>,
    /// Why nothing can be sent any more.
    fault: Cell<Option<Fault>>,
    /// The connection's task.
    task: RefCell<Waker>,
    outbox: Rc<Outbox>,
    credit: RefCell<Credit>,
}

impl Link {
    pub(super) fn new(stream: Stream, deadline: Rc<Deadline>, out: Buffer, outbox: &Rc<Outbox>) -> Rc<Self> {
        Rc::new(Self {
            stream,
            deadline,
            out: RefCell::new(out),
            marked: Cell::new(false),
            full: Cell::new(false),
            fault: Cell::new(None),
            task: RefCell::new(Waker::noop().clone()),
            outbox: Rc::clone(outbox),
            credit: RefCell::new(Credit::new(clock::recently())),
        })
    }

    /// The connection's task is polled: it sends what its socket had no room for, and is who is woken from now on.
    pub(super) fn attend(&self, cx: &mut Context<'_>) {
        if !self.task.borrow().will_wake(cx.waker()) {
            self.task.replace(cx.waker().clone());
        }
        if self.full.get() {
            // A fault is remembered, and seen when the protocol next writes.
            let _ = self.poll_send(cx);
        }
    }

    /// Has the connection's task polled.
    pub(super) fn wake(&self) {
        self.task.borrow().wake_by_ref();
    }

    /// Why nothing can be sent any more.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    /// Nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.out.borrow().is_empty()
    }

    /// What was received, to be charged for; frames that a client may send for nothing and those that cost it.
    pub(super) fn received(&self, bytes: &[u8]) {
        self.credit.borrow_mut().received(bytes, clock::recently());
    }

    /// A piece of an answer's body was sent, and earns the frames that it makes a client send.
    pub(super) fn gave(&self, bytes: usize) {
        self.credit.borrow_mut().gave(bytes);
    }

    /// An answer is whole.
    pub(super) fn answered(&self) {
        self.credit.borrow_mut().answered();
    }

    /// The client asked for more than it may.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.credit.borrow().is_overdrawn()
    }

    /// Takes what there is room for of `bytes`; they leave with everything else of this turn.
    pub(super) fn poll_append(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Fault>> {
        if self.out.borrow().len() >= ENOUGH {
            let sent = self.poll_send(cx);
            if self.out.borrow().len() >= MOST {
                ready!(sent)?;
            }
        }
        if let Some(fault) = self.fault.get() {
            return Poll::Ready(Err(fault));
        }
        let mut out = self.out.borrow_mut();
        let taken = bytes.len().min(MOST - out.len());
        out.need_small();
        if taken > out.room() {
            out.need_large();
            out.make_room(MOST);
        }
        out.tail().extend_from_slice(&bytes[..taken]);
        drop(out);
        // A full socket is waited for already.
        if !self.full.get() && !self.marked.replace(true) {
            self.outbox.mark(self);
        }
        Poll::Ready(Ok(taken))
    }

    /// The turn is over.
    pub(super) fn send_marked(&self) {
        self.marked.set(false);
        let task = self.task.borrow().clone();
        if let Poll::Ready(Err(_)) = self.poll_send(&mut Context::from_waker(&task)) {
            task.wake();
        }
    }

    /// Ready when everything collected was handed to the socket, or nothing can be any more.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if let Some(fault) = self.fault.get() {
            return Poll::Ready(Err(fault));
        }
        let mut out = self.out.borrow_mut();
        while !out.is_empty() {
            match self.stream.poll_write(cx, &self.deadline, [out.filled(), &[], &[]], Leave::Now) {
                Poll::Ready(Ok(sent)) => out.consume(sent),
                Poll::Ready(Err(fault)) => {
                    self.fault.set(Some(fault));
                    out.clear();
                    out.release();
                    return Poll::Ready(Err(fault));
                }
                Poll::Pending => {
                    self.full.set(true);
                    return Poll::Pending;
                }
            }
        }
        self.full.set(false);
        out.release();
        Poll::Ready(Ok(()))
    }
}
