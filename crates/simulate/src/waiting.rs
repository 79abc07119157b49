//! Requests that wait until a backend has room: another doer of the engine's queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use fairlead_balance::{Leaving, NoBackend, Outcome};

use crate::calendar::{Event, Limit};
use crate::record::Cause;
use crate::request::Phase;
use crate::world::World;

/// Room also comes without a slot that is freed: by who joins or recovers.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Requests by place and stamp.
type Line = Mutex<VecDeque<(u32, u32)>>;

/// Whose turn has come.
#[derive(Debug, Default)]
pub(crate) struct Woken(Arc<Line>);

struct Sleeper {
    request: u32,
    stamp: u32,
    woken: Arc<Line>,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push_back((self.request, self.stamp));
    }
}

impl Woken {
    fn waker(&self, request: u32, stamp: u32) -> Waker {
        Waker::from(Arc::new(Sleeper { request, stamp, woken: Arc::clone(&self.0) }))
    }

    pub(crate) fn next(&self) -> Option<(u32, u32)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl World<'_> {
    /// A request for which there is no room. What comes back is decided on.
    pub(crate) fn enqueue(&mut self, request: u32) -> Option<Outcome> {
        let pool = self.subject.pool;
        let Some(options) = &pool.queue else { return Some(Outcome::NoneAvailable(NoBackend::AllFull)) };
        let Some(ticket) = pool.live.queue().enter(options.size, self.requests.of(request).worker, 0) else {
            self.fail(request, Cause::Named("queue full"));
            return None;
        };
        let stamp = self.requests.of_mut(request).turn_to(Phase::Queued(ticket));
        self.calendar.limit(self.clock.after(options.timeout), Limit::Queue, request, stamp);
        self.calendar.add(self.clock.after(LOOK_AGAIN), Event::Look { request, stamp });
        self.find_room(request)
    }

    /// A request that waits looks for room.
    fn find_room(&mut self, request: u32) -> Option<Outcome> {
        let own = self.requests.of(request);
        let Phase::Queued(ticket) = own.phase else { return None };
        let queue = self.subject.pool.live.queue();
        if !queue.park(ticket, &self.woken.waker(request, own.stamp)) {
            return None;
        }
        let found = self.pick(request);
        if matches!(found, Err(NoBackend::AllFull)) {
            return None;
        }
        self.requests.of_mut(request).turn_to(Phase::Picking);
        queue.leave(ticket, if found.is_ok() { Leaving::Served } else { Leaving::GivenUp });
        match found {
            Ok(place) => self.send_to(request, place).err(),
            Err(none) => Some(Outcome::NoneAvailable(none)),
        }
    }

    fn look(&mut self, request: u32, stamp: u32) {
        let waits = self.requests.of(request).stamp == stamp;
        if let Some(outcome) = waits.then(|| self.find_room(request)).flatten() {
            self.go_on(request, outcome);
        }
    }

    /// Room may have come by itself.
    pub(crate) fn look_again(&mut self, request: u32, stamp: u32) {
        self.look(request, stamp);
        if self.requests.of(request).stamp == stamp {
            self.calendar.add(self.clock.after(LOOK_AGAIN), Event::Look { request, stamp });
        }
    }

    /// Those whose turn has come.
    pub(crate) fn serve_woken(&mut self) {
        while let Some((request, stamp)) = self.woken.next() {
            self.look(request, stamp);
        }
    }
}
