//! Who is in the pool: the picker over them, and each worker's place in it.

use fairlead_balance::{Ask, Cursor, Live, NoBackend};
use fairlead_plan::{Membership, spec};

use crate::clock::Clock;
use crate::random::Stream;
use crate::world::{Subject, World};

/// The members, and which server stands behind each.
#[derive(Debug)]
pub(crate) struct Members {
    membership: Membership,
    cursors: Vec<Cursor>,
    /// By member.
    servers: Vec<u32>,
    /// The member of each server, while it is one.
    places: Vec<Option<usize>>,
}

impl Members {
    /// Everybody for whom `is_in`, picked from by so many workers.
    pub(crate) fn new(
        subject: &Subject<'_>,
        live: &Live,
        workers: usize,
        is_in: impl Fn(u32) -> bool,
    ) -> Self {
        let mut members = Self {
            membership: build(subject, live, &[], 0),
            cursors: Vec::new(),
            servers: Vec::new(),
            places: Vec::new(),
        };
        members.seat(subject, live, is_in);
        let cursor = |worker| Cursor::new(&members.membership.picker, worker, workers);
        members.cursors = (0..workers).map(cursor).collect();
        members
    }

    /// The same with others, as at a reload: workers whose place still has a meaning keep it.
    fn seat(&mut self, subject: &Subject<'_>, live: &Live, is_in: impl Fn(u32) -> bool) {
        self.servers = (0..subject.backends.len() as u32).filter(|&server| is_in(server)).collect();
        self.places = vec![None; subject.backends.len()];
        for (member, &server) in self.servers.iter().enumerate() {
            self.places[server as usize] = Some(member);
        }
        let backends: Vec<_> =
            self.servers.iter().map(|&server| subject.backends[server as usize].clone()).collect();
        self.membership = build(subject, live, &backends, self.membership.generation + 1);
        let workers = self.cursors.len();
        for (worker, cursor) in self.cursors.iter_mut().enumerate() {
            if !cursor.fits(&self.membership.picker) {
                *cursor = Cursor::new(&self.membership.picker, worker, workers);
            }
        }
    }

    pub(crate) fn pick(
        &mut self,
        ask: &Ask<'_>,
        worker: usize,
        picks: &mut Stream,
        clock: &Clock,
    ) -> Result<usize, NoBackend> {
        self.membership.picker.pick(ask, &mut self.cursors[worker], picks, clock.instant())
    }

    /// Who stands behind a member.
    pub(crate) fn server(&self, member: usize) -> u32 {
        self.servers[member]
    }

    /// Whether a backend of this id is a member.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.membership.backends.iter().any(|backend| *backend.id == *id)
    }

    /// The picker, and what it knows a server by; nothing once that has left.
    pub(crate) fn known(&self, server: u32) -> Option<(&fairlead_balance::Picker, usize)> {
        self.places[server as usize].map(|member| (&self.membership.picker, member))
    }
}

fn build(subject: &Subject<'_>, live: &Live, backends: &[spec::Backend], generation: u64) -> Membership {
    let membership = Membership::build(subject.pool, backends, generation, live)
        .expect("invariant: a part of a list that was found good is good");
    membership.take_effect(subject.pool);
    membership
}

impl World<'_> {
    /// Somebody joined or left.
    pub(crate) fn seat_members(&mut self) {
        let servers = &self.servers;
        self.members.seat(self.subject, self.live, |server| servers.of(server).present);
        self.watch_members();
        self.judge();
    }
}
