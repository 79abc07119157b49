//! Who is connected now: asked of the workers when somebody wants to know, since nobody else may look at what they hold.
#![allow(missing_docs, reason = "a field is named as it is read in the JSON")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::shared::{Shared, State};
use crate::clock::{self, Phase};
use crate::error::CallError;
use crate::listener::Open;
use crate::published::ListenerCell;
use crate::worker;

/// More are never listed, whatever is asked for: some 200 KiB of text.
const MOST: usize = 1_000;

/// Which connections are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// How many at the most.
    pub limit: usize,
    /// Only those of this listener.
    pub listener: Option<String>,
    /// Only those of this client.
    pub client: Option<IpAddr>,
}

/// Open connections of clients.
#[derive(Debug, Clone, Serialize)]
pub struct Connected {
    /// All there are, listed or not.
    pub open: u32,
    /// As many as were wanted.
    pub connections: Vec<ConnectionStats>,
}

/// One open connection of a client.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectionStats {
    pub listener: String,
    /// Address and port; one that came by a Unix socket has none.
    pub client: Option<String>,
    pub state: Doing,
    /// Within a second.
    pub age_seconds: u64,
    /// Tries of its requests: what was sent to backends.
    pub requests: u32,
    pub pool: Option<String>,
    pub backend: Option<String>,
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It waits for the next request.
    Idle,
    /// A request is being received.
    Request,
    /// A backend is asked.
    Backend,
    /// An answer is being sent.
    Answer,
    /// It is a tunnel.
    Tunnel,
}

/// What a worker is told to look for, and where to put it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    wanted: Arc<Wanted>,
    began: Instant,
    found: Sender<(Arc<str>, Open)>,
}

impl Question {
    /// Answers with the connections of one listener; `limit` is for each.
    pub(crate) fn ask(&self, cell: &ListenerCell) {
        let Wanted { limit, listener, client } = &*self.wanted;
        if listener.as_ref().is_some_and(|wanted| **wanted != *cell.live.name) {
            return;
        }
        let mut listed = 0;
        let is_wanted = |of: Option<IpAddr>| client.is_none_or(|wanted| Some(wanted) == of);
        cell.connections().show((self.began, clock::now()), is_wanted, *limit, |open| {
            let _ = self.found.send((Arc::clone(&cell.live.name), open));
            listed += 1;
            listed
        });
    }
}

impl Shared {
    /// The connections that are wanted, the oldest first.
    pub(crate) fn connections(&self, wanted: &Wanted) -> Result<Connected, CallError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = wanted.limit.min(MOST);
        let (found, all) = channel();
        let question = Question {
            wanted: Arc::new(Wanted {
                limit,
                client: wanted.client.map(|ip| ip.to_canonical()),
                ..wanted.clone()
            }),
            began: self.began,
            found,
        };
        if limit > 0 {
            self.tell_all(|| worker::Command::Show(question.clone()))?;
        }
        drop(question);
        let mut all: Vec<(Arc<str>, Open)> = all.iter().collect();
        all.sort_by(|(_, one), (_, other)| other.age.cmp(&one.age).then(one.client.cmp(&other.client)));
        all.truncate(limit);
        let names = backends(&self.state());
        let shown = all.into_iter().map(|(listener, open)| shown(&listener, &open, &names));
        Ok(Connected { open: self.process.open(), connections: shown.collect() })
    }
}

type Names = HashMap<usize, (Arc<str>, Arc<str>)>;

/// Pool and id of each backend by the address of what outlives its Plans.
fn backends(state: &State) -> Names {
    let served = state
        .members
        .iter()
        .flat_map(|(pool, members)| members.shared.backends.iter().map(move |backend| (pool, backend)));
    let leaving = state.draining.backends.iter().map(|leaving| (&leaving.pool, &leaving.backend));
    served
        .chain(leaving)
        .map(|(pool, backend)| {
            (Arc::as_ptr(&backend.live) as usize, (Arc::clone(pool), Arc::clone(&backend.id)))
        })
        .collect()
}

fn shown(listener: &str, open: &Open, names: &Names) -> ConnectionStats {
    let of = names.get(&open.backend);
    ConnectionStats {
        listener: listener.to_owned(),
        client: open.client.map(|(address, port)| SocketAddr::new(address, port).to_string()),
        state: doing(open),
        age_seconds: open.age.as_secs(),
        requests: open.requests,
        pool: of.map(|(pool, _)| pool.to_string()),
        backend: of.map(|(_, backend)| backend.to_string()),
    }
}

fn doing(open: &Open) -> Doing {
    match open.phase {
        Some(Phase::Tunnel) => Doing::Tunnel,
        Some(Phase::Connect | Phase::Response | Phase::Try | Phase::Request) => Doing::Backend,
        Some(Phase::Write | Phase::StreamIdle) => Doing::Answer,
        Some(Phase::Handshake | Phase::Header | Phase::Body) => Doing::Request,
        // Between two waits of an exchange nothing is limited.
        None if open.backend != 0 => Doing::Backend,
        Some(Phase::Idle | Phase::Stop) | None => Doing::Idle,
    }
}
