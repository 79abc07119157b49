//! A connection that was accepted, on its way to what serves it.

use std::rc::Rc;

use fairlead_balance::limit::Refused;
use fairlead_plan as plan;
use fairlead_plan::Versions;
use fairlead_plan::spec::{AcceptProxy, Protocol};

use super::announced::{self, Told};
use super::guard::ConnectionGuard;
use super::shed::{self, Shed};
use crate::io::{Peer, Stream};
use crate::published::LocalListener;
use crate::worker::Worker;
use crate::{http, http2, stream, tls};

/// A connection that was accepted.
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    /// Who the client is, as far as is known.
    pub(crate) peer: Peer,
    /// What a proxy said of it.
    pub(crate) told: Option<Box<Told>>,
    pub(crate) guard: ConnectionGuard,
}

impl Arrival {
    /// Takes it in, when it is known whose it is.
    pub(super) fn receive(self, worker: &Rc<Worker>, listener: &LocalListener) {
        match listener.plan.accept_proxy {
            AcceptProxy::None => self.admit(worker, listener),
            _ if is_trusted(&listener.plan, self.peer) => announced::read(worker, self),
            AcceptProxy::Optional => self.admit(worker, listener),
            AcceptProxy::Required => self.close_unannounced(listener),
        }
    }

    /// Gives it to what serves it, if its client may have one more.
    pub(super) fn admit(mut self, worker: &Rc<Worker>, listener: &LocalListener) {
        let protocol = listener.plan.protocol;
        let counters = &listener.counters;
        let limit = match self.peer {
            Peer::Ip(address) => self.guard.is_of(&listener.plan, address.ip()),
            Peer::Unix => Ok(()),
        };
        let (counter, why) = match limit {
            Ok(()) if worker.shared.is_short_of_memory() => (&counters.refused_memory, Shed::Memory),
            Ok(()) if listener.plan.tls.is_some() => return tls::accept(worker, self),
            Ok(()) if protocol == Protocol::Http => {
                return match listener.plan.http.versions {
                    Versions::Http1 => http::serve(Rc::clone(worker), self),
                    Versions::Http2 => http2::serve(Rc::clone(worker), self),
                    Versions::Both => http2::recognise(Rc::clone(worker), self),
                };
            }
            Ok(()) => return stream::serve(Rc::clone(worker), self),
            Err(Refused::ClientLimit) => (&counters.refused_per_client, Shed::ClientLimit),
            Err(Refused::TableFull) => (&counters.refused_clients, Shed::TooManyClients),
        };
        counter.add(1);
        // Of other protocols we have no words: their clients see the end.
        if listener.plan.speaks_clear_http() {
            shed::refuse(&worker.shedding, self.stream, self.guard, why);
        }
    }

    /// Closes it: nobody whose word counts said whose it is.
    pub(super) fn close_unannounced(self, listener: &LocalListener) {
        listener.counters.refused_proxy.add(1);
        self.stream.reset_on_close();
    }
}

/// Whether this peer's word about its client is believed. Who may open a Unix socket its file's mode says.
fn is_trusted(listener: &plan::Listener, peer: Peer) -> bool {
    match peer {
        Peer::Ip(address) => listener.trusted.contains(address.ip().to_canonical()),
        Peer::Unix => true,
    }
}
