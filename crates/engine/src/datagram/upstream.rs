//! The backend of a session: picked, and left when it is to be left.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use fairlead_balance::health::Report;
use fairlead_balance::{Ask, BreakerState, NoBackend, Standing, State, Tried};
use fairlead_plan::Backend;
use fairlead_plan::spec::BackendAddress;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::proxy::connect::pick_from;
use crate::proxy::key;
use crate::proxy::slot::Slot;
use crate::published::{LocalMembers, LocalRoute};
use crate::stream::judge;
use crate::telemetry::Dropped;
use crate::unix::{self, datagrams};
use crate::upstream::{DialFailure, classify};
use crate::worker::Worker;

/// Backends that are tried for one session before it is given up. None of them is waited for.
const TRIES: usize = 8;

/// A backend that has a session, and the socket towards it. What others send to the socket the kernel drops, since it is
/// connected.
pub(super) struct Upstream {
    // Closed before the backend's place is given back, lest somebody else is let in too early.
    pub(super) socket: AsyncFd<OwnedFd>,
    pub(super) slot: Slot,
    /// In whom the backend was looked for last.
    seen: Rc<LocalMembers>,
    /// It has answered since it refused last.
    pub(super) spoke: bool,
}

/// What a new session, or one that moves, goes by.
pub(super) struct Search<'a> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) route: &'a LocalRoute,
    pub(super) client: IpAddr,
    /// Whether long trains of datagrams are to be expected.
    pub(super) trains: bool,
}

impl Search<'_> {
    /// A backend, other than the one that is left.
    pub(super) fn find(&self, left: Option<&Backend>) -> Result<Upstream, Dropped> {
        let pool = &self.route.pool.plan;
        let members = self.route.pool.members();
        let key = key::of_client(&pool.key, Some(self.client));
        let mut tried = Tried::new();
        let place = left.and_then(|left| members.shared.backends.iter().position(|one| one.key == left.key));
        if let Some(place) = place {
            tried.insert(place);
        }
        for _ in 0..TRIES {
            let table = (&members.shared.picker, &members.cursor);
            let picked = pick_from(&members, table, &Ask { tried: &tried, key }, pool, self.worker);
            let slot = picked.map_err(|_: NoBackend| Dropped::NoBackend)?;
            match connect(&slot.backend().address, self.trains) {
                Ok(socket) => {
                    slot.counters().connects.add(1);
                    slot.counters().requests.add(1);
                    return Ok(Upstream { socket, slot, seen: members, spoke: false });
                }
                Err(error) => {
                    if let DialFailure::Resource(_) = classify(&error, &slot.backend().address) {
                        return Err(Dropped::Resources);
                    }
                    tried.insert(slot.place());
                    refused(&slot, self.worker, self.route);
                }
            }
        }
        Err(Dropped::NoBackend)
    }
}

/// The backend of `slot` said, or its network did, that nobody is there.
pub(super) fn refused(slot: &Slot, worker: &Rc<Worker>, route: &LocalRoute) {
    slot.counters().connect_failures.add(1);
    slot.failed();
    judge(worker, slot, Report::Refused, &route.pool.plan);
}

impl Upstream {
    /// Whether the session may stay, where `members` are the pool's.
    pub(super) fn holds(&mut self, members: &Rc<LocalMembers>) -> bool {
        if !Rc::ptr_eq(&self.seen, members) {
            // The key is made of the address, too: what is there under another one isn't whom the session knows.
            let key = self.slot.backend().key;
            if !members.shared.backends.iter().any(|backend| backend.key == key) {
                return false;
            }
            self.seen = Rc::clone(members);
        }
        keeps_sessions(self.slot.backend().live.standing())
    }
}

/// Whether a backend that stands so goes on with the sessions it has. It does while it drains, and while nothing is known
/// of it; one that fails, only where too many do and such are asked as well.
fn keeps_sessions(standing: Standing) -> bool {
    standing.breaker() != BreakerState::Open
        && match standing.state() {
            State::Up | State::Degraded | State::Draining | State::Unproven => true,
            State::Ejected | State::Down => standing.share() > 0,
            State::Disabled => false,
        }
}

fn connect(address: &BackendAddress, trains: bool) -> io::Result<AsyncFd<OwnedFd>> {
    let BackendAddress::Ip(address) = address else { return Err(Errno::AFNOSUPPORT.into()) };
    unix::watch_own(open(*address, trains)?.into())
}

fn open(address: SocketAddr, trains: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), None)?;
    if trains {
        // A kernel that can't join them hands them over one by one.
        let _ = datagrams::join(&socket);
    }
    socket.connect(&address.into())?;
    Ok(socket)
}

/// What it means that a datagram couldn't be sent to a backend, or nothing received from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody is there, as ICMP said of an earlier one (RFC 1122 4.1.3.3), or the routing table does.
    Refused,
    /// It is dropped for this reason.
    Drop(Dropped),
}

impl From<&io::Error> for Trouble {
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(
                Errno::CONNREFUSED
                | Errno::HOSTUNREACH
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::NETDOWN
                | Errno::NOPROTOOPT,
            ) => Self::Refused,
            Some(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => Self::Drop(Dropped::BackendBuffer),
            _ => Self::Drop(Dropped::Unsendable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_stay_with_backends_that_are_well_or_drain() {
        let keeps = |state, share| keeps_sessions(Standing::new(state, share));
        for state in [State::Up, State::Degraded, State::Draining, State::Unproven] {
            assert!(keeps(state, 0), "{state:?}");
        }
        for state in [State::Ejected, State::Down, State::Disabled] {
            assert!(!keeps(state, 0), "{state:?}");
        }
    }

    #[test]
    fn sessions_stay_with_a_failing_backend_where_failing_ones_are_asked() {
        assert!(keeps_sessions(Standing::new(State::Down, Standing::WHOLE)));
        assert!(!keeps_sessions(Standing::new(State::Disabled, Standing::WHOLE)));
    }

    #[test]
    fn nobody_there_is_told_from_no_room_and_from_what_cannot_be_sent() {
        let of = |errno: Errno| Trouble::from(&io::Error::from(errno));
        assert_eq!(of(Errno::CONNREFUSED), Trouble::Refused);
        assert_eq!(of(Errno::AGAIN), Trouble::Drop(Dropped::BackendBuffer));
        assert_eq!(of(Errno::MSGSIZE), Trouble::Drop(Dropped::Unsendable));
        assert_eq!(of(Errno::PERM), Trouble::Drop(Dropped::Unsendable));
    }
}
