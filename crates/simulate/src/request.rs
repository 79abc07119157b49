//! The requests under way, in places that are used again.

use fairlead_balance::{Attempts, Outcome, Pass, Ticket};

use crate::calendar;
use crate::clock::Nanos;

/// What a request is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between two tries, for no time.
    Picking,
    Connecting,
    /// It is with a server.
    Answering,
    /// Until a further try.
    Waiting,
    /// The same, with an answer of this status that is the client's if there is nobody else to try. Its place is kept.
    Holding(u16),
    /// For room at a backend.
    Queued(Ticket),
    /// It has its answer, and its place is free.
    Over,
}

/// A try's place at a backend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// In the picker.
    pub(crate) member: usize,
    pub(crate) server: u32,
    /// When the server had the request.
    pub(crate) sent: Nanos,
    /// What the backend's circuit breaker let in, until it is told what became of that.
    pub(crate) pass: Option<Pass>,
}

/// A second try beside the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    pub(crate) place: Place,
    pub(crate) stamp: u32,
    pub(crate) connecting: bool,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) attempts: Attempts<'a>,
    pub(crate) phase: Phase,
    /// Changes with every phase, so that what was meant for an earlier one is known.
    pub(crate) stamp: u32,
    /// The first one.
    born: u32,
    pub(crate) arrived: Nanos,
    pub(crate) work: f64,
    pub(crate) key: Option<u64>,
    pub(crate) worker: usize,
    /// It may be done twice.
    pub(crate) safe: bool,
    pub(crate) tries: u32,
    /// Where it is, in the phases in which it is somewhere.
    pub(crate) place: Place,
    pub(crate) beside: Option<Beside>,
    /// What became of the first try while a second one goes on. Its place is given back.
    pub(crate) fallen: Option<Outcome>,
    /// Its answer says after what time others are hedged.
    pub(crate) hedgeable: bool,
}

impl Request<'_> {
    /// Goes on to this, so that nothing that was due before concerns it.
    pub(crate) fn turn_to(&mut self, phase: Phase) -> u32 {
        self.phase = phase;
        self.stamp = self.stamp.wrapping_add(1);
        self.stamp
    }

    /// Whether the answer of the try with this stamp is waited for.
    pub(crate) fn is_awaited(&self, stamp: u32) -> bool {
        self.stamp == stamp && self.phase == Phase::Answering && self.fallen.is_none()
    }

    /// Whether the answer of the second try with this stamp is.
    pub(crate) fn is_beside(&self, stamp: u32) -> bool {
        self.beside.is_some_and(|beside| beside.stamp == stamp)
    }

    /// Whether it is still the one that this was due for.
    pub(crate) fn is_still(&self, born: u32) -> bool {
        self.born == born && self.phase != Phase::Over
    }
}

/// What is known of a request when it comes.
pub(crate) struct Arrival {
    pub(crate) at: Nanos,
    pub(crate) work: f64,
    pub(crate) key: Option<u64>,
    pub(crate) worker: usize,
    pub(crate) safe: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Requests<'a> {
    all: Vec<Request<'a>>,
    free: Vec<u32>,
}

impl<'a> Requests<'a> {
    /// `None` if more are under way than can be told apart.
    pub(crate) fn open(&mut self, arrival: &Arrival, attempts: Attempts<'a>) -> Option<u32> {
        let place = self.free.pop();
        let stamp = place.map_or(0, |place| self.all[place as usize].stamp.wrapping_add(1));
        let request = Request {
            attempts,
            phase: Phase::Picking,
            stamp,
            born: stamp,
            arrived: arrival.at,
            work: arrival.work,
            key: arrival.key,
            worker: arrival.worker,
            safe: arrival.safe,
            tries: 0,
            place: Place { member: 0, server: 0, sent: 0, pass: None },
            beside: None,
            fallen: None,
            hedgeable: false,
        };
        if let Some(place) = place {
            self.all[place as usize] = request;
            return Some(place);
        }
        let place = u32::try_from(self.all.len()).ok().filter(|&place| place <= calendar::MOST)?;
        self.all.push(request);
        Some(place)
    }

    pub(crate) fn of(&self, request: u32) -> &Request<'a> {
        &self.all[request as usize]
    }

    pub(crate) fn of_mut(&mut self, request: u32) -> &mut Request<'a> {
        &mut self.all[request as usize]
    }

    /// It has its answer.
    pub(crate) fn close(&mut self, request: u32) {
        self.of_mut(request).turn_to(Phase::Over);
        self.free.push(request);
    }

    /// How many are under way.
    pub(crate) fn count(&self) -> usize {
        self.all.len() - self.free.len()
    }
}
