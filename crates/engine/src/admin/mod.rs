//! The admin interface: health, readiness and metrics are answered here, whatever the control process does; every other
//! path is its own and relayed to it.
//!
//! Exempt from the limits and the metrics of traffic; bounded by itself.

mod answer;
mod connection;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::engine::{Settings, Shared};

/// Admin connections at once; more are closed.
const CONNECTIONS: u32 = 256;

/// How the admin sockets of one engine are served.
pub(crate) struct Relay {
    /// Where the control process answers.
    control: Option<PathBuf>,
    open: Cell<u32>,
}

impl Relay {
    pub(crate) fn of(settings: &Settings) -> Self {
        let control = settings.directory.as_ref().map(|directory| directory.join("control.sock"));
        Self { control, open: Cell::new(0) }
    }
}

/// By what a request came: the control process gives them different rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    /// The private socket.
    Socket,
    Tcp,
}

/// Serves the private socket for the engine's life.
pub(crate) async fn serve_unix(
    shared: Arc<Shared>,
    relay: Rc<Relay>,
    socket: io::Result<OwnedFd>,
) -> io::Result<()> {
    let listener = UnixListener::from_std(socket?.into())?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => start(&shared, &relay, stream, Via::Socket),
            Err(_) => pause().await,
        }
    }
}

/// Serves an address for the engine's life.
pub(crate) async fn serve_tcp(
    shared: Arc<Shared>,
    relay: Rc<Relay>,
    socket: io::Result<OwnedFd>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(socket?.into())?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => start(&shared, &relay, stream, Via::Tcp),
            Err(_) => pause().await,
        }
    }
}

/// Out of descriptors: they come back.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn start(
    shared: &Arc<Shared>,
    relay: &Rc<Relay>,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    via: Via,
) {
    if relay.open.get() >= CONNECTIONS {
        return;
    }
    relay.open.set(relay.open.get() + 1);
    let (shared, relay) = (Arc::clone(shared), Rc::clone(relay));
    tokio::task::spawn_local(async move {
        let place = Place(relay);
        // A client that goes away is no news.
        let _ = connection::run(&shared, &place.0, stream, via).await;
    });
}

/// One of the connections, given back however it ends.
struct Place(Rc<Relay>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}
