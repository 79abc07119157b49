//! One poll of a task that serves a client.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use crate::clock;

/// Polls `task` by `poll`. A panic ends this task and nothing else: `broken` counts it, and lets go of what the task had.
///
/// What `task` had at hand is not looked at again after a panic; what it shares with others (cells of the worker) is never
/// left half-changed across a call that could panic.
pub(crate) fn take<T>(
    task: &mut T,
    poll: impl FnOnce(&mut T) -> Poll<()>,
    broken: impl FnOnce(&mut T, &(dyn Any + Send)),
) -> Poll<()> {
    let _turn = clock::begin_turn();
    catch_unwind(AssertUnwindSafe(|| poll(task))).unwrap_or_else(|panic| {
        broken(task, &*panic);
        Poll::Ready(())
    })
}
