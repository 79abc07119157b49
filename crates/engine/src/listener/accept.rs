//! One worker accepting from one bind: in batches, within limits, and never spinning when the system has run out.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{SocketAddrAny, SocketFlags};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use super::arrival::Arrival;
use super::bind::Bound;
use super::guard::ConnectionGuard;
use super::limits::{Full, LOOK_AGAIN};
use super::shed;
use crate::io::{Peer, Stream};
use crate::published::ListenerCell;
use crate::telemetry::What;
use crate::unix::{self, SharedSocket};
use crate::worker::Worker;

/// Connections accepted in one turn: enough to amortise the wake-up, few enough for those that are open to go on.
const BATCH: usize = 32;

/// For how many looks, 100 ms each, connections wait when the system has no descriptors. Then they are told so.
const PATIENCE: u32 = 10;

/// A worker's end of a listening socket.
pub(crate) struct Acceptor {
    bound: Arc<Bound>,
    socket: AsyncFd<SharedSocket>,
    cell: RefCell<Rc<ListenerCell>>,
    task: RefCell<Option<JoinHandle<()>>>,
    /// Counted in `bound.paused`.
    paused: Cell<bool>,
}

/// What became of one attempt to accept.
enum Accepted {
    Connection,
    /// The queue is empty.
    Empty,
    Full(Full),
    /// The system has no descriptors or memory: nothing comes of trying at once again.
    Exhausted(io::Error),
}

impl Acceptor {
    /// Starts to accept for `cell`.
    pub(crate) fn start(
        worker: &Rc<Worker>,
        bound: &Arc<Bound>,
        cell: &Rc<ListenerCell>,
    ) -> io::Result<Rc<Self>> {
        let socket = unix::watch(bound.socket(worker.index))?;
        let acceptor = Rc::new(Self {
            bound: Arc::clone(bound),
            socket,
            cell: RefCell::new(Rc::clone(cell)),
            task: RefCell::new(None),
            paused: Cell::new(false),
        });
        let task = tokio::task::spawn_local(Rc::clone(&acceptor).run(Rc::clone(worker)));
        acceptor.task.replace(Some(task));
        Ok(acceptor)
    }

    /// The bind is another listener's from now on.
    pub(crate) fn retarget(&self, cell: &Rc<ListenerCell>) {
        self.cell.replace(Rc::clone(cell));
    }

    /// Accepts what is queued and then no more. Called before the socket is closed: what it still held would be reset.
    /// Returns what is over when this worker has let go of the socket.
    pub(crate) fn finish(self: Rc<Self>, worker: &Rc<Worker>) -> Option<JoinHandle<()>> {
        while matches!(self.accept(worker), Accepted::Connection) {}
        self.resumed(worker);
        let task = self.task.take();
        task.inspect(JoinHandle::abort)
    }

    async fn run(self: Rc<Self>, worker: Rc<Worker>) {
        let mut looks = 0;
        loop {
            let Ok(mut ready) = self.socket.readable().await else { return };
            let mut outcome = Accepted::Connection;
            for _ in 0..BATCH {
                outcome = self.accept(&worker);
                if !matches!(outcome, Accepted::Connection) {
                    break;
                }
                self.resumed(&worker);
                looks = 0;
            }
            match outcome {
                Accepted::Connection => tokio::task::yield_now().await,
                Accepted::Empty => {
                    self.resumed(&worker);
                    ready.clear_ready();
                }
                Accepted::Full(full) => self.wait_for_place(&worker, full).await,
                Accepted::Exhausted(error) => {
                    looks += 1;
                    self.pause(&worker, &error.to_string());
                    // As many as clients are open stay: closed, they would be accepted with, and an open client's next
                    // request would find no descriptor.
                    worker.upstreams.keep_newest(worker.shared.process.open() as usize);
                    if looks > PATIENCE {
                        self.refuse_queued(&worker);
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    async fn wait_for_place(&self, worker: &Worker, full: Full) {
        let cell = Rc::clone(&self.cell.borrow());
        // Said when it lasts: at the limit a place is often free a moment later.
        let since = crate::clock::now();
        cell.live.wait(full).await;
        if since.elapsed() >= LOOK_AGAIN {
            let reason = match full {
                Full::Process => "the process has as many connections as its descriptors allow",
                Full::Listener => "the listener has max_connections",
            };
            self.pause(worker, reason);
        }
    }

    fn accept(&self, worker: &Rc<Worker>) -> Accepted {
        let cell = Rc::clone(&self.cell.borrow());
        let listener = cell.current();
        if let Err(full) = cell.live.enter(&listener.plan) {
            // At the limit nobody is kept out before somebody comes.
            return if self.has_queued() { Accepted::Full(full) } else { Accepted::Empty };
        }
        let (stream, peer) = match self.accept_stream() {
            Ok(Some(accepted)) => accepted,
            other => {
                cell.live.leave();
                return match other {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::Empty,
                    Err(error) if !is_of_the_connection(&error) => Accepted::Exhausted(error),
                    _ => Accepted::Connection,
                };
            }
        };
        listener.counters.accepted.add(1);
        let guard = ConnectionGuard::new(&cell);
        Arrival { stream, peer, told: None, guard }.receive(worker, &listener);
        Accepted::Connection
    }

    /// Whether a connection waits to be accepted.
    fn has_queued(&self) -> bool {
        let mut socket = [PollFd::new(self.socket.get_ref(), PollFlags::IN)];
        rustix::event::poll(&mut socket, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// One connection; `None` if there was one that is of no use.
    fn accept_stream(&self) -> io::Result<Option<(Stream, Peer)>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, address) = rustix::net::acceptfrom_with(self.socket.get_ref(), flags)?;
        let Some(address) = address.and_then(ip_address) else {
            let stream = tokio::net::UnixStream::from_std(socket.into())?;
            return Ok(Some((Stream::Unix(stream), Peer::Unix)));
        };
        let stream = tokio::net::TcpStream::from_std(socket.into())?;
        Ok(Some((Stream::Tcp(stream), Peer::Ip(address))))
    }

    /// Answers a few of those that wait, each on the descriptor that is kept for this.
    fn refuse_queued(&self, worker: &Worker) {
        let listener = self.cell.borrow().current();
        for _ in 0..BATCH {
            drop(worker.reserve.take());
            let Ok(socket) = rustix::net::accept_with(self.socket.get_ref(), SocketFlags::CLOEXEC) else {
                break;
            };
            listener.counters.refused_descriptors.add(1);
            if listener.plan.speaks_clear_http() {
                shed::refuse_at_once(&socket);
            }
            drop(socket);
            worker.keep_reserve();
        }
        worker.keep_reserve();
    }

    fn pause(&self, worker: &Worker, reason: &str) {
        if self.paused.replace(true) || self.bound.paused.fetch_add(1, Relaxed) > 0 {
            return;
        }
        worker.shared.events.push(What::AcceptPaused {
            listener: self.cell.borrow().live.name.to_string(),
            bind: self.bound.address.clone(),
            reason: reason.to_owned(),
        });
    }

    fn resumed(&self, worker: &Worker) {
        if !self.paused.replace(false) || self.bound.paused.fetch_sub(1, Relaxed) > 1 {
            return;
        }
        worker.shared.events.push(What::AcceptResumed {
            listener: self.cell.borrow().live.name.to_string(),
            bind: self.bound.address.clone(),
        });
    }
}

/// The peer's address; on a dual-stack socket IPv4 comes mapped (RFC 4291 2.5.5.2).
fn ip_address(address: SocketAddrAny) -> Option<std::net::SocketAddr> {
    let address: std::net::SocketAddr = address.try_into().ok()?;
    let ip: IpAddr = address.ip().to_canonical();
    Some(std::net::SocketAddr::new(ip, address.port()))
}

/// The connection was gone before it was accepted, its network is, or a firewall forbids it (accept(2)).
fn is_of_the_connection(error: &io::Error) -> bool {
    let errors = [
        libc::ECONNABORTED,
        libc::EINTR,
        libc::EPERM,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EOPNOTSUPP,
        libc::ENETDOWN,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ENONET,
    ];
    error.raw_os_error().is_some_and(|code| errors.contains(&code))
}
