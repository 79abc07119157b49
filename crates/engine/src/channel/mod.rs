//! The channel to the control process: the calls of [`Engine`](crate::Engine) as frames over `engine.sock`.
//!
//! Each side says hello first. One control process at a time: a newer one replaces the one before.

mod frame;
mod message;
mod session;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;

use crate::engine::Shared;

/// Accepts control processes for the engine's life.
pub(crate) async fn serve(shared: Arc<Shared>, socket: io::Result<OwnedFd>) -> io::Result<()> {
    let listener = UnixListener::from_std(socket?.into())?;
    let mut current: Option<AbortHandle> = None;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, for one; the control process tries again.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        if let Some(before) = current.take() {
            before.abort();
        }
        current = Some(tokio::task::spawn_local(speak(Arc::clone(&shared), stream)).abort_handle());
    }
}

/// Whatever ends a session, the engine serves on: it needs nobody.
async fn speak(shared: Arc<Shared>, stream: UnixStream) {
    let _ = session::run(&shared, stream).await;
}
