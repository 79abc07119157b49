//! The channel to the control process: the calls of [`Engine`](crate::Engine) as frames over `engine.sock`.
//!
//! Each side says hello first. One control process at a time: a newer one replaces the one before.

mod frame;
mod message;
mod session;

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;

use crate::engine::Shared;

/// Accepts control processes for the engine's life.
pub(crate) async fn serve(shared: Arc<Shared>, socket: io::Result<OwnedFd>) -> io::Result<()> {
    let listener = UnixListener::from_std(socket?.into())?;
    let current = Rc::new(RefCell::new(None));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, for one; the control process tries again.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        tokio::task::spawn_local(speak(Arc::clone(&shared), Rc::clone(&current), stream));
    }
}

/// Whatever ends a session, the engine serves on: it needs nobody.
async fn speak(shared: Arc<Shared>, current: Rc<RefCell<Option<AbortHandle>>>, stream: UnixStream) {
    let Ok(Some(session)) = session::greet(&shared, stream).await else { return };
    // Only who said hello takes the place of the one before.
    let session = tokio::task::spawn_local(async move { session.run(&shared).await });
    if let Some(before) = current.replace(Some(session.abort_handle())) {
        before.abort();
    }
}
