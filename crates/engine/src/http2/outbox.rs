//! Who sends what connections collect in a turn of the loop: one send for all that their streams had to say.
//!
//! The h2 crate flushes whenever it is polled, which is once a stream. So a flush only marks the connection, and what was
//! marked is sent a moment later, by a task that lets every other one that is ready run before it: when those have run
//! [`ROUNDS`] times, nothing more is waited for. A task that is always ready delays it by no more than that.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::link::Link;

/// A stream's answer comes in the first, and its connection's task, which it wakes, frames it in the second.
const ROUNDS: u32 = 2;

/// The connections of one worker that have something to send.
#[derive(Default)]
pub(crate) struct Outbox {
    marked: RefCell<Vec<Rc<Link>>>,
    /// The task that sends, while there is nothing to be sent.
    sender: RefCell<Option<Waker>>,
}

impl Outbox {
    /// This connection has something to send. To be said once until it was sent.
    pub(super) fn mark(&self, link: &Rc<Link>) {
        self.marked.borrow_mut().push(Rc::clone(link));
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }

    /// Sends for the worker's life.
    pub(crate) async fn run(self: Rc<Self>) {
        let mut rounds = 0;
        let mut sending = Vec::new();
        poll_fn(|cx| {
            if rounds < ROUNDS && !self.marked.borrow().is_empty() {
                rounds += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            rounds = 0;
            std::mem::swap(&mut sending, &mut self.marked.borrow_mut());
            for link in sending.drain(..) {
                link.send_marked();
            }
            self.sender.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        })
        .await;
    }
}
