//! The access log. A worker formats its lines into a batch of its own; a batch goes to the writer thread when it is
//! 32 KiB or 200 ms old. When the writer cannot follow, batches are dropped and counted: a slow disk never slows a request.

mod batch;
mod line;
mod writer;

pub(crate) use batch::Batch;
pub(crate) use writer::{LogWriter, Sink};
