//! The thread that writes the access log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fairlead_plan::Target;

use super::batch::FULL;
use crate::clock;
use crate::telemetry::events::{Events, What};

/// Batches that wait for the writer: 4 MiB at the most, a second of log at 20,000 requests/s.
const QUEUE: usize = 128;
/// Emptied batches kept for reuse.
const SPARES: usize = 16;
/// An error that goes on is reported this often.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) text: Vec<u8>,
    pub(super) count: u64,
}

enum Message {
    Lines(Lines),
    /// Look at the orders.
    Order,
}

/// What the writer is to do between two batches.
enum Order {
    Write(Option<Sink>),
    Reopen,
    Stop,
}

/// Where lines go.
#[derive(Debug)]
pub(crate) enum Sink {
    Stdout,
    File(PathBuf, File),
}

impl Sink {
    /// Opens the target; what can't be opened is known before a Plan is published.
    pub(crate) fn open(target: &Target) -> io::Result<Self> {
        match target {
            Target::Stdout => Ok(Self::Stdout),
            Target::File(path) => Ok(Self::File(path.clone(), open(path)?)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::File(_, file) => file.write_all(bytes),
        }
    }
}

/// 0640: an access log names clients.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Nothing is left half done by a panic under one of these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The workers' end of the writer thread.
pub(crate) struct LogWriter {
    queue: SyncSender<Message>,
    received: Mutex<Option<Receiver<Message>>>,
    orders: Mutex<Vec<Order>>,
    spares: Mutex<Vec<Vec<u8>>>,
    dropped: AtomicU64,
    events: Arc<Events>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LogWriter {
    /// A writer whose thread is still to be started.
    pub(crate) fn new(events: Arc<Events>) -> Arc<Self> {
        let (queue, received) = sync_channel(QUEUE);
        Arc::new(Self {
            queue,
            received: Mutex::new(Some(received)),
            orders: Mutex::default(),
            spares: Mutex::default(),
            dropped: AtomicU64::new(0),
            events,
            thread: Mutex::new(None),
        })
    }

    /// Starts the thread, once.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        let Some(received) = locked(&self.received).take() else { return Ok(()) };
        let writer = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("fairlead-log".into())
            .spawn(move || Thread { writer, sink: None, torn: false, reported: None }.run(&received))?;
        *locked(&self.thread) = Some(thread);
        Ok(())
    }

    /// Queues lines, or drops and counts them when the writer can't follow.
    pub(super) fn take(&self, lines: Lines) {
        let count = lines.count;
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Lines(lines))
        {
            self.dropped.fetch_add(count, Relaxed);
        }
    }

    /// An empty batch; never waits for one.
    pub(super) fn spare(&self) -> Vec<u8> {
        let spare = self.spares.try_lock().ok().and_then(|mut spares| spares.pop());
        spare.unwrap_or_else(|| Vec::with_capacity(FULL + 4 * 1024))
    }

    /// From now on lines go there; `None` writes none.
    pub(crate) fn redirect(&self, sink: Option<Sink>) {
        self.order(Order::Write(sink));
    }

    /// Opens the file anew: it was moved away.
    pub(crate) fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// Lines that were not written.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn order(&self, order: Order) {
        locked(&self.orders).push(order);
        // With a full queue the thread is busy and looks by itself.
        let _ = self.queue.try_send(Message::Order);
    }

    /// Writes what is queued and ends the thread; gives up on a target that doesn't take it in time.
    pub(crate) fn stop(&self, patience: Duration) {
        self.order(Order::Stop);
        let thread = locked(&self.thread).take();
        let until = clock::now() + patience;
        if let Some(thread) = thread {
            while !thread.is_finished() && clock::now() < until {
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }
}

struct Thread {
    writer: Arc<LogWriter>,
    sink: Option<Sink>,
    /// The last write failed, maybe within a line.
    torn: bool,
    reported: Option<std::time::Instant>,
}

impl Thread {
    fn run(mut self, received: &Receiver<Message>) {
        while let Ok(message) = received.recv() {
            if let Message::Lines(lines) = message {
                self.write(lines);
            }
            if self.obey() {
                // Whatever was queued before the order to stop.
                for message in received.try_iter() {
                    if let Message::Lines(lines) = message {
                        self.write(lines);
                    }
                }
                return;
            }
        }
    }

    /// Whether to stop.
    fn obey(&mut self) -> bool {
        let orders = std::mem::take(&mut *locked(&self.writer.orders));
        let mut stop = false;
        for order in orders {
            match order {
                Order::Write(sink) => self.sink = sink,
                Order::Reopen => self.reopen(),
                Order::Stop => stop = true,
            }
        }
        stop
    }

    fn reopen(&mut self) {
        if let Some(Sink::File(path, file)) = &mut self.sink {
            match open(path) {
                Ok(fresh) => *file = fresh,
                Err(error) => {
                    let message =
                        format!("{}: {error}; lines still go to the file opened before", path.display());
                    self.writer.events.push(What::LogError { message });
                }
            }
        }
    }

    fn write(&mut self, mut lines: Lines) {
        if let Some(sink) = &mut self.sink {
            let newline = if self.torn { sink.write(b"\n") } else { Ok(()) };
            match newline.and_then(|()| sink.write(&lines.text)) {
                Ok(()) => self.torn = false,
                Err(error) => {
                    self.torn = true;
                    self.writer.dropped.fetch_add(lines.count, Relaxed);
                    self.report(&error);
                }
            }
        }
        lines.text.clear();
        if lines.text.capacity() <= 2 * FULL {
            let mut spares = locked(&self.writer.spares);
            if spares.len() < SPARES {
                spares.push(lines.text);
            }
        }
    }

    fn report(&mut self, error: &io::Error) {
        let now = clock::now();
        if self.reported.is_some_and(|at| now < at + REPORT_EVERY) {
            return;
        }
        self.reported = Some(now);
        let target = match &self.sink {
            Some(Sink::File(path, _)) => path.display().to_string(),
            _ => "standard output".to_owned(),
        };
        let message =
            format!("{target}: {error}; access log lines are dropped and counted until it can be written");
        self.writer.events.push(What::LogError { message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn lines(text: &str) -> Lines {
        Lines { text: text.as_bytes().to_vec(), count: text.lines().count() as u64 }
    }

    #[test]
    fn lines_that_the_writer_cannot_follow_are_dropped_and_counted() {
        // Its thread is not started: a writer that never gets to write.
        let writer = LogWriter::new(Arc::default());
        for _ in 0..QUEUE + 5 {
            writer.take(lines("one\ntwo\n"));
        }
        assert_eq!(writer.dropped(), 10);
    }

    #[test]
    fn what_was_queued_is_written_before_the_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let writer = LogWriter::new(Arc::default());
        writer.redirect(Some(Sink::open(&Target::File(file.path().to_owned())).unwrap()));
        for number in 0..QUEUE / 2 {
            writer.take(lines(&format!("{number}\n")));
        }
        writer.start().unwrap();
        writer.stop(Duration::from_secs(10));
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), QUEUE / 2);
        assert_eq!(writer.dropped(), 0);
    }

    #[test]
    fn a_full_disk_is_said_once_and_its_lines_are_counted() {
        let events = Arc::new(Events::default());
        let writer = LogWriter::new(Arc::clone(&events));
        writer.redirect(Some(Sink::open(&Target::File("/dev/full".into())).unwrap()));
        writer.take(lines("one\n"));
        writer.take(lines("two\nthree\n"));
        writer.start().unwrap();
        writer.stop(Duration::from_secs(10));
        assert_eq!(writer.dropped(), 3);
        let What::LogError { message } = events.next(Duration::ZERO).unwrap().what else { unreachable!() };
        assert!(message.starts_with("/dev/full: No space left on device"), "{message}");
        assert!(events.next(Duration::ZERO).is_none());
    }
}
