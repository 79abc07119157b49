//! The service thread: everything of an engine that is no traffic. Samples once a second, follows what drains, answers
//! on the admin sockets and on the channel, and stops the workers in good order.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};

use super::shared::Shared;
use crate::error::StartError;
use crate::listener::{Bound, Private};
use crate::telemetry::What;
use crate::worker::Command;
use crate::{admin, channel, clock, unix};

/// How often what drains is looked at, and how long a cut may take.
const STEP: Duration = Duration::from_millis(100);
/// How often the process is sampled, and tables are swept.
const SAMPLE: Duration = Duration::from_secs(1);
/// How often what nobody uses any more is forgotten between changes. Long enough for who reads metrics each 15 s to see
/// the last figures of a backend that left.
const FORGET: Duration = Duration::from_mins(1);
/// While stopping, a connection that waits for a request may send one more within this; then it is closed.
const IDLE_GRACE: Duration = Duration::from_secs(5);
/// The access log's last lines may take this long.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Where an engine can be spoken to.
#[derive(Default)]
pub(crate) struct Endpoints {
    channel: Option<Private>,
    admin: Option<Private>,
    admin_tcp: Vec<Bound>,
    /// Held for the engine's life: one engine a directory.
    lock: Option<OwnedFd>,
    ready: Option<OwnedFd>,
}

impl Endpoints {
    /// Takes the directory and opens its sockets.
    pub(crate) fn open(shared: &Shared) -> Result<Self, StartError> {
        let mut endpoints = Self::default();
        if let Some(directory) = &shared.settings.directory {
            endpoints.lock = Some(lock(directory)?);
            endpoints.channel = Some(Private::bind(&directory.join("engine.sock")).map_err(StartError::new)?);
            endpoints.admin = Some(Private::bind(&directory.join("admin.sock")).map_err(StartError::new)?);
        }
        for address in &shared.settings.admin_binds {
            let bound = Bound::for_admin(address)
                .map_err(|error| StartError::new(format_args!("admin.bind: {error}")))?;
            shared.state().admin_bound.push(bound.address.clone());
            endpoints.admin_tcp.push(bound);
        }
        endpoints.ready = (shared.settings.ready_fd)
            .map(unix::adopt_descriptor)
            .transpose()
            .map_err(|error| StartError::new(format_args!("ready_fd: {error}")))?;
        Ok(endpoints)
    }
}

/// One engine a directory.
fn lock(directory: &Path) -> Result<OwnedFd, StartError> {
    let failed = |error: io::Error| StartError::new(format_args!("{}: {error}", directory.display()));
    fs::create_dir_all(directory).map_err(failed)?;
    let path = directory.join("engine.lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            fs::write(&path, std::process::id().to_string()).map_err(failed)?;
            Ok(file.into())
        }
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            Err(StartError::new(format_args!(
                "{}: the engine with PID {owner} works here: stop it or choose another directory",
                directory.display()
            )))
        }
        Err(error) => Err(failed(error.into())),
    }
}

/// Runs until the engine has stopped. `own_process`: SIGTERM is for the engine.
pub(super) fn run(shared: &Arc<Shared>, endpoints: Endpoints, own_process: bool) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_name("fairlead-call")
        .max_blocking_threads(4)
        .build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => {
            runtime.block_on(serve(shared, endpoints, own_process));
            // A call that hangs in a thread of its own must not keep the process.
            runtime.shutdown_background();
        }
        Err(error) => shared.events.push(What::Trouble { message: format!("no event loop: {error}") }),
    }
}

async fn serve(shared: &Arc<Shared>, endpoints: Endpoints, own_process: bool) {
    let Endpoints { channel, admin, admin_tcp, lock: _lock, ready } = endpoints;
    // Before anybody is told that the engine is there: a SIGTERM that comes then is heard.
    if own_process {
        spawn(shared, terminate(Arc::clone(shared)));
    }
    let relay = Rc::new(admin::Relay::of(&shared.settings));
    if let Some(socket) = &admin {
        spawn(shared, admin::serve_unix(Arc::clone(shared), Rc::clone(&relay), socket.socket()));
    }
    for bound in &admin_tcp {
        spawn(shared, admin::serve_tcp(Arc::clone(shared), Rc::clone(&relay), bound.handle()));
    }
    if let Some(socket) = &channel {
        spawn(shared, channel::serve(Arc::clone(shared), socket.socket()));
    }
    spawn(shared, follow(Arc::clone(shared)));
    if let Some(Err(error)) = ready.map(|ready| rustix::io::write(&ready, b"ready\n")) {
        shared.events.push(What::Trouble { message: format!("ready_fd: {error}") });
    }
    let mut stop = shared.stop_requests();
    // The sender lives in `shared`.
    let _ = stop.wait_for(Option::is_some).await;
    drain(shared).await;
}

/// A task that should live as long as the engine; its failure is said.
fn spawn(shared: &Arc<Shared>, task: impl Future<Output = io::Result<()>> + 'static) {
    let shared = Arc::clone(shared);
    tokio::task::spawn_local(async move {
        if let Err(error) = task.await {
            shared.events.push(What::Trouble { message: format!("the engine's service: {error}") });
        }
    });
}

/// SIGTERM drains, another one ends at once.
async fn terminate(shared: Arc<Shared>) -> io::Result<()> {
    let mut signals = signal(SignalKind::terminate())?;
    signals.recv().await;
    let patience = shared.state().plan.as_ref().map(|plan| plan.drain_timeout).unwrap_or_default();
    shared.request_stop(clock::now() + patience);
    loop {
        signals.recv().await;
        shared.request_stop(clock::now());
    }
}

/// Samples the process, and follows what drains.
async fn follow(shared: Arc<Shared>) -> io::Result<()> {
    let mut sampled: Option<Instant> = None;
    let mut forgot = clock::now();
    loop {
        let now = clock::now();
        if sampled.is_none_or(|at| now >= at + SAMPLE) {
            sampled = Some(now);
            watch_memory(&shared);
            shared.forget_clients(now);
        }
        if now >= forgot + FORGET {
            forgot = now;
            shared.forget_unused();
        }
        shared.end_drains();
        let busy = {
            let mut state = shared.state();
            let steps = state.draining.step(now);
            for command in steps.commands {
                for worker in &state.workers {
                    worker.tell(command.clone(), None);
                }
            }
            for event in steps.events {
                shared.events.push(event);
            }
            !state.draining.is_empty()
        };
        let pause = tokio::time::sleep(if busy { STEP } else { SAMPLE });
        tokio::select! {
            () = pause => {}
            () = shared.drains.notified(), if !busy => {}
        }
    }
}

/// Above the limit new connections are refused, until the process is 5 % below it.
fn watch_memory(shared: &Shared) {
    let limit = shared.state().plan.as_ref().and_then(|plan| plan.max_memory);
    let Some(max_bytes) = limit else {
        shared.set_short_of_memory(false);
        return;
    };
    let rss_bytes = unix::rss_bytes();
    if rss_bytes > max_bytes {
        if !shared.set_short_of_memory(true) {
            shared.events.push(What::MemoryPressure { rss_bytes, max_bytes });
        }
    } else if rss_bytes < max_bytes - max_bytes / 20 && shared.set_short_of_memory(false) {
        shared.events.push(What::MemoryRelieved { rss_bytes, max_bytes });
    }
}

/// Stops the workers: no new connections, open requests finish, what is left at the deadline is cut.
async fn drain(shared: &Arc<Shared>) {
    let stop = shared.stop_requests();
    let deadline = || stop.borrow().unwrap_or_else(clock::now);
    shared.state().stopping = true;
    let idle_until = clock::now() + IDLE_GRACE;
    tell_all(shared, Command::Drain { idle_until }).await;
    // Every worker has accepted what was queued: the addresses are free for another engine.
    let closed = std::mem::take(&mut shared.state().sockets);
    drop(closed);
    while shared.process.open() > 0 && clock::now() < deadline() {
        let left = deadline().saturating_duration_since(clock::now());
        let mut changed = stop.clone();
        let _ = tokio::time::timeout(left.min(STEP / 5), changed.changed()).await;
    }
    if shared.process.open() > 0 {
        tell_all(shared, Command::Cut).await;
        let until = clock::now() + STEP * 5;
        while shared.process.open() > 0 && clock::now() < until {
            tokio::time::sleep(STEP / 5).await;
        }
    }
    let (workers, warden) = {
        let mut state = shared.state();
        (std::mem::take(&mut state.workers), state.warden.take())
    };
    let own = Arc::clone(shared);
    let ended = tokio::task::spawn_blocking(move || {
        for worker in &workers {
            worker.tell(Command::Exit, None);
        }
        for worker in workers {
            worker.join();
        }
        if let Some(warden) = warden {
            warden.end(&own);
        }
        own.log.stop(LOG_PATIENCE);
    });
    let _ = ended.await;
}

async fn tell_all(shared: &Arc<Shared>, command: Command) {
    let shared = Arc::clone(shared);
    // A worker that has died has nothing open.
    let _ = tokio::task::spawn_blocking(move || shared.tell_all(|| command.clone())).await;
}
