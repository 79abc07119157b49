//! A worker: one thread with a loop, upstream connections, timers, buffers and counters of its own.
//!
//! Between two turns of its loop it obeys its mailbox. Nothing that a request does goes to another thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Instant;

use fairlead_balance as balance;
use fairlead_balance::{BackendLive, BreakerPolicy};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle as JoinTask;

use crate::buffer::Buffers;
use crate::clock::{self, Wheel};
use crate::datagram::{Datagrams, Receiver};
use crate::engine::{Question, Shared};
use crate::http::SessionPool;
use crate::http2::Outbox;
use crate::listener::{Acceptor, Bound, Shedding};
use crate::proxy::splice::Pipes;
use crate::published::{ListenerCell, Place, Published};
use crate::telemetry::{self, Batch, PreparedMembers, PreparedPlan, What};
use crate::tls::{ClientConfigs, ServerConfigs};
use crate::upstream::Upstreams;

/// What every connection of a worker has in common.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) workers: usize,
    /// What belongs to the process.
    pub(crate) shared: Arc<Shared>,
    pub(crate) wheel: Rc<Wheel>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) upstreams: Rc<Upstreams>,
    pub(crate) pipes: Rc<Pipes>,
    pub(crate) datagrams: Rc<Datagrams>,
    pub(crate) outbox: Rc<Outbox>,
    pub(crate) sessions: SessionPool,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) telemetry: telemetry::Local,
    pub(crate) shedding: Shedding,
    /// A descriptor to answer one more client with when there are none left.
    pub(crate) reserve: Cell<Option<OwnedFd>>,
    published: RefCell<Published>,
    doors: RefCell<Doors>,
}

/// What clients come by, by the addresses where that is.
#[derive(Default)]
struct Doors {
    acceptors: HashMap<String, Rc<Acceptor>>,
    receivers: HashMap<String, Rc<Receiver>>,
}

/// A worker's random source: fast, seeded by the system, not for secrets.
pub(crate) struct Rng(fastrand::Rng);

impl balance::Random for Rng {
    fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
}

/// A bind and the listener that has it.
pub(crate) struct Assignment {
    pub(crate) bound: Arc<Bound>,
    pub(crate) listener: Arc<str>,
}

/// What a worker can be told.
#[derive(Clone)]
pub(crate) enum Command {
    /// Serve new requests by this Plan.
    Publish(Arc<Publication>),
    /// Replace a pool's membership.
    Members { pool: Arc<str>, members: PreparedMembers },
    /// Make handshakes with clients and with backends by these.
    Secrets(Arc<ServerConfigs>, Arc<ClientConfigs>),
    /// Something has drained: forget it, and close idle connections to backends that are no longer there.
    ForgetDrained,
    /// A removed backend's time is over.
    CutBackend(Arc<BackendLive>),
    /// A removed listener's time is over.
    CutListener(Arc<str>),
    /// Say who is connected.
    Show(Question),
    /// Accept no more; answers close; connections that wait have until then.
    Drain { idle_until: Instant },
    /// Cut what is open.
    Cut,
    /// End the thread.
    Exit,
}

/// A Plan with everything it needs.
pub(crate) struct Publication {
    pub(crate) plan: PreparedPlan,
    pub(crate) binds: Vec<Assignment>,
}

/// A command and whom to tell when it was obeyed.
struct Letter {
    command: Command,
    obeyed: Option<Sender<()>>,
}

/// The other threads' end of a worker.
pub(crate) struct Handle {
    mailbox: UnboundedSender<Letter>,
    thread: JoinHandle<()>,
}

impl Handle {
    /// Starts worker `index`.
    pub(crate) fn start(index: usize, shared: Arc<Shared>) -> io::Result<Self> {
        let (mailbox, letters) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(format!("fairlead-w{index}"))
            .spawn(move || run(index, shared, letters))?;
        Ok(Self { mailbox, thread })
    }

    /// Puts a command in the mailbox; `obeyed` is told when it was obeyed, and dropped if it never will be.
    pub(crate) fn tell(&self, command: Command, obeyed: Option<Sender<()>>) {
        // A worker that is gone drops the letter, and with it `obeyed`.
        let _ = self.mailbox.send(Letter { command, obeyed });
    }

    /// Waits for the thread's end.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }
}

fn run(index: usize, shared: Arc<Shared>, letters: UnboundedReceiver<Letter>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        // How many tasks run before sockets are looked at: what waits at the kernel waits this long at the most.
        .event_interval(61)
        .build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(serve(index, shared, letters)),
        Err(error) => {
            let message = format!("worker {index}: no event loop: {error}");
            shared.events.push(What::Trouble { message });
        }
    }
}

async fn serve(index: usize, shared: Arc<Shared>, mut letters: UnboundedReceiver<Letter>) {
    let worker = Worker::new(index, shared);
    tokio::task::spawn_local(Rc::clone(&worker.wheel).run());
    tokio::task::spawn_local(Rc::clone(&worker.upstreams).run());
    tokio::task::spawn_local(Rc::clone(worker.telemetry.log()).run());
    tokio::task::spawn_local(Rc::clone(&worker.datagrams).run());
    tokio::task::spawn_local(Rc::clone(&worker.outbox).run());
    while let Some(Letter { command, obeyed }) = letters.recv().await {
        if matches!(command, Command::Exit) {
            break;
        }
        for finished in worker.obey(command) {
            let _ = finished.await;
        }
        if let Some(obeyed) = obeyed {
            let _ = obeyed.send(());
        }
    }
    worker.telemetry.log().flush();
}

impl Worker {
    fn new(index: usize, shared: Arc<Shared>) -> Rc<Self> {
        let wheel = Wheel::new(clock::now());
        let buffers = Buffers::new();
        let log = Batch::new(Arc::clone(&shared.log));
        let worker = Self {
            index,
            workers: shared.workers,
            upstreams: Upstreams::new(&wheel, &buffers),
            wheel,
            buffers,
            pipes: Pipes::new(),
            datagrams: Rc::default(),
            outbox: Rc::default(),
            sessions: SessionPool::default(),
            rng: RefCell::new(Rng(fastrand::Rng::new())),
            telemetry: telemetry::Local::new(log),
            shedding: Shedding::default(),
            reserve: Cell::new(None),
            published: RefCell::default(),
            doors: RefCell::default(),
            shared,
        };
        worker.keep_reserve();
        Rc::new(worker)
    }

    /// Keeps one descriptor for the time when there are none left.
    pub(crate) fn keep_reserve(&self) {
        let kept = self.reserve.take();
        self.reserve.set(kept.or_else(|| std::fs::File::open("/dev/null").ok().map(OwnedFd::from)));
    }

    /// A connection's task panicked: counted and said; the worker goes on.
    pub(crate) fn panicked(&self, payload: &(dyn Any + Send)) {
        let message = (payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without a message".to_owned());
        self.shared.panics.fetch_add(1, Relaxed);
        self.shared.events.push(What::WorkerPanic { worker: self.index, message });
    }

    /// The circuit breaker that the backends of a pool have now.
    pub(crate) fn breaker(&self, pool: &str) -> Option<BreakerPolicy> {
        self.published.borrow().breaker(pool)
    }

    fn place(&self) -> Place {
        Place { index: self.index, workers: self.workers }
    }

    /// Returns what has to end before the command is obeyed.
    fn obey(self: &Rc<Self>, command: Command) -> Vec<JoinTask<()>> {
        match command {
            Command::Publish(publication) => return self.publish(&publication),
            Command::Members { pool, members } => {
                self.published.borrow().members(&pool, &members, self.place());
                self.retain_idle();
            }
            Command::Secrets(servers, clients) => {
                self.published.borrow().secrets(&servers, &clients);
                self.retain_idle();
            }
            Command::ForgetDrained => {
                self.published.borrow_mut().forget_drained(clock::now());
                self.retain_idle();
            }
            Command::CutBackend(backend) => {
                for cell in self.published.borrow().cells() {
                    cell.connections().cut_backend(&backend, clock::now());
                }
            }
            Command::CutListener(name) => {
                for cell in self.published.borrow().draining().filter(|cell| cell.live.name == name) {
                    cell.connections().cut(clock::now());
                }
            }
            Command::Show(question) => {
                for cell in self.published.borrow().cells() {
                    question.ask(cell);
                }
            }
            Command::Drain { idle_until } => {
                for cell in self.published.borrow().cells() {
                    cell.close(Some(idle_until));
                }
                return self.finish(self.doors.take());
            }
            Command::Cut => {
                for cell in self.published.borrow().cells() {
                    cell.connections().cut(clock::now());
                }
            }
            Command::Exit => {}
        }
        Vec::new()
    }

    fn finish(self: &Rc<Self>, doors: Doors) -> Vec<JoinTask<()>> {
        let accepting = doors.acceptors.into_values().filter_map(|acceptor| acceptor.finish(self));
        accepting.chain(doors.receivers.into_values().filter_map(|receiver| receiver.finish(self))).collect()
    }

    /// The switch: all of it happens in this one turn.
    fn publish(self: &Rc<Self>, publication: &Publication) -> Vec<JoinTask<()>> {
        let PreparedPlan { plan, .. } = &publication.plan;
        self.telemetry.log().configure(plan.access_log.clone().map(Arc::new));
        self.published.borrow_mut().swap(&publication.plan, self.place());
        let mut before = self.doors.take();
        let mut after = Doors::default();
        for Assignment { bound, listener } in &publication.binds {
            let published = self.published.borrow();
            let cell =
                published.listener(listener).expect("invariant: binds are those of the Plan's listeners");
            if let Err(error) = self.open(bound, cell, &mut before, &mut after) {
                self.shared.events.push(What::Trouble {
                    message: format!("worker {} can't accept from {}: {error}", self.index, bound.address),
                });
            }
        }
        self.doors.replace(after);
        self.retain_idle();
        self.finish(before)
    }

    /// Has what clients come by to `bound` lead to `cell`.
    fn open(
        self: &Rc<Self>,
        bound: &Arc<Bound>,
        cell: &Rc<ListenerCell>,
        before: &mut Doors,
        after: &mut Doors,
    ) -> io::Result<()> {
        let address = &bound.address;
        if bound.is_udp() {
            let receiver = match before.receivers.remove(address) {
                Some(receiver) => receiver,
                None => Receiver::start(self, bound, cell)?,
            };
            receiver.retarget(cell);
            after.receivers.insert(address.clone(), receiver);
        } else {
            let acceptor = match before.acceptors.remove(address) {
                Some(acceptor) => acceptor,
                None => Acceptor::start(self, bound, cell)?,
            };
            acceptor.retarget(cell);
            after.acceptors.insert(address.clone(), acceptor);
        }
        Ok(())
    }

    fn retain_idle(&self) {
        let (keys, distrusted) = {
            let published = self.published.borrow();
            (published.backend_keys(), published.take_distrusted())
        };
        self.upstreams.retain(|key| keys.contains(&key) && !distrusted.contains(&key));
    }
}
