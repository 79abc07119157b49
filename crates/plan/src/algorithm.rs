//! How a pool picks, and the key it picks by.

use std::time::Duration;

use fairlead_balance as balance;

use crate::error::{Errors, Place};
use crate::spec;

/// Rendezvous looks at every backend in every pick: more than this is refused.
pub(crate) const RENDEZVOUS_MOST: usize = 1_000;

/// Where a request's key is found. Names are compared as their protocol says: a header's in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// The client's address, of an IPv6 address as many bits.
    Client {
        /// At most 128.
        v6_prefix: u8,
    },
    /// The first field of this name.
    Header(Box<[u8]>),
    /// The cookie of this name.
    Cookie(Box<[u8]>),
    /// The parameter of this name in the query.
    Query(Box<[u8]>),
    /// The normalised path.
    Path,
}

/// The algorithm, and what its key is made of: nothing for one without a key.
pub(crate) fn build(spec: &spec::Algorithm) -> (balance::Algorithm, Vec<KeyPart>) {
    match spec {
        spec::Algorithm::RoundRobin => (balance::Algorithm::RoundRobin, Vec::new()),
        spec::Algorithm::LeastConnections => (balance::Algorithm::LeastConnections, Vec::new()),
        spec::Algorithm::LeastTime(how) => (balance::Algorithm::LeastTime(least_time(how)), Vec::new()),
        spec::Algorithm::Random { choices, by } => {
            (balance::Algorithm::Random { choices: *choices, by: score(by) }, Vec::new())
        }
        spec::Algorithm::IpHash { v6_prefix } => (
            balance::Algorithm::IpHash { v6_prefix: *v6_prefix },
            vec![KeyPart::Client { v6_prefix: *v6_prefix }],
        ),
        spec::Algorithm::ConsistentHash { key, table, bounded_load_thousandths } => {
            let table = match table {
                spec::HashTable::Ring => balance::HashTable::Ring,
                spec::HashTable::Maglev => balance::HashTable::Maglev,
                spec::HashTable::Rendezvous => balance::HashTable::Rendezvous,
            };
            let bounded_load = *bounded_load_thousandths;
            let algorithm = balance::Algorithm::ConsistentHash { table, bounded_load };
            (algorithm, key.iter().map(key_part).collect())
        }
        spec::Algorithm::First => (balance::Algorithm::First, Vec::new()),
    }
}

pub(crate) fn check(spec: &spec::Algorithm, at: Place<'_>, errors: &mut Errors) {
    match spec {
        spec::Algorithm::Random { choices: 0, .. } => {
            let random = at.key("random");
            errors.add(random.key("choices"), "must be at least 1");
        }
        spec::Algorithm::LeastTime(spec::LeastTime { window_ms: 0, .. }) => {
            let least_time = at.key("least_time");
            errors.add(least_time.key("window"), "must be more than 0");
        }
        spec::Algorithm::IpHash { v6_prefix } if *v6_prefix > 128 => {
            let ip_hash = at.key("ip_hash");
            errors.add(ip_hash.key("v6_prefix"), "an IPv6 address has 128 bits");
        }
        spec::Algorithm::ConsistentHash { key, bounded_load_thousandths, .. } => {
            let options = at.key("consistent_hash");
            if key.is_empty() {
                errors.add(options.key("key"), "a key needs a part");
            }
            if bounded_load_thousandths.is_some_and(|bound| bound < 1_000) {
                errors.add(options.key("bounded_load"), "below 1 the load has nowhere to go");
            }
        }
        _ => {}
    }
}

/// Whether so many backends are too many for the algorithm.
pub(crate) fn check_size(algorithm: balance::Algorithm, backends: usize, at: Place<'_>, errors: &mut Errors) {
    let rendezvous =
        matches!(algorithm, balance::Algorithm::ConsistentHash { table: balance::HashTable::Rendezvous, .. });
    if rendezvous && backends > RENDEZVOUS_MOST {
        let message = format_args!(
            "rendezvous looks at each of the {backends} backends in every pick: up to {RENDEZVOUS_MOST}; take maglev or \
             ring"
        );
        errors.add(at, message);
    }
}

fn least_time(spec: &spec::LeastTime) -> balance::LeastTime {
    let average = match spec.average {
        spec::Average::PeakEwma => balance::Average::PeakEwma,
        spec::Average::Ewma => balance::Average::Ewma,
    };
    balance::LeastTime { average, window: Duration::from_millis(spec.window_ms) }
}

fn score(spec: &spec::Score) -> balance::Score {
    match spec {
        spec::Score::LeastConnections => balance::Score::LeastConnections,
        spec::Score::LeastTime(how) => balance::Score::LeastTime(least_time(how)),
    }
}

pub(crate) fn key_part(spec: &spec::KeyPart) -> KeyPart {
    let name = |name: &String| name.as_bytes().into();
    match spec {
        spec::KeyPart::Client => KeyPart::Client { v6_prefix: 128 },
        spec::KeyPart::Header(header) => KeyPart::Header(name(header)),
        spec::KeyPart::Cookie(cookie) => KeyPart::Cookie(name(cookie)),
        spec::KeyPart::Query(parameter) => KeyPart::Query(name(parameter)),
        spec::KeyPart::Path => KeyPart::Path,
    }
}
