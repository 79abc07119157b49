//! A worker's lines until they go to the writer.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use fairlead_plan as plan;

use super::line;
use super::writer::{Lines, LogWriter};
use crate::clock;
use crate::telemetry::record::Record;

/// A batch is handed over at this size.
pub(super) const FULL: usize = 32 * 1024;
/// And at this age.
const OLD: Duration = Duration::from_millis(200);

/// The lines of one worker that were not handed over yet.
pub(crate) struct Batch {
    log: RefCell<Option<Arc<plan::AccessLog>>>,
    lines: RefCell<Lines>,
    random: RefCell<fastrand::Rng>,
    writer: Arc<LogWriter>,
    flusher: Cell<Option<Waker>>,
}

impl Batch {
    pub(crate) fn new(writer: Arc<LogWriter>) -> Rc<Self> {
        Rc::new(Self {
            log: RefCell::new(None),
            lines: RefCell::default(),
            random: RefCell::new(fastrand::Rng::new()),
            writer,
            flusher: Cell::new(None),
        })
    }

    /// From now on lines look like this; those before go out as they are.
    pub(crate) fn configure(&self, log: Option<Arc<plan::AccessLog>>) {
        self.flush();
        self.log.replace(log);
    }

    /// Writes the line of a request, if the log is on and takes this one.
    pub(crate) fn request(&self, record: &Record<'_>) {
        let log = self.log.borrow();
        let Some(log) = log.as_deref() else { return };
        if log.sample < 1.0 && self.random.borrow_mut().f64() >= log.sample {
            return;
        }
        let started = clock::wall().checked_sub(record.duration).unwrap_or(std::time::UNIX_EPOCH);
        let mut lines = self.lines.borrow_mut();
        line::write(&log.format, record, started, &mut lines.text);
        lines.count += 1;
        if lines.text.len() >= FULL {
            drop(lines);
            self.flush();
        } else if let Some(flusher) = self.flusher.take() {
            flusher.wake();
        }
    }

    /// Hands over what there is.
    pub(crate) fn flush(&self) {
        let mut lines = self.lines.borrow_mut();
        if lines.count > 0 {
            let fresh = Lines { text: self.writer.spare(), count: 0 };
            self.writer.take(std::mem::replace(&mut *lines, fresh));
        }
    }

    /// Hands over what has become old, for the worker's life. Sleeps while there are no lines.
    pub(crate) async fn run(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.lines.borrow().count > 0 {
                    return Poll::Ready(());
                }
                self.flusher.set(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            tokio::time::sleep(OLD).await;
            self.flush();
        }
    }
}
