//! The engine's picker for Python programs.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fairlead_balance::{Algorithm, Ask, Cursor, Live, NoBackend, Picker, Random, Tried, hash, hash_address};
use fairlead_plan::spec::{BackendAddress, Spec};
use fairlead_plan::{Plan, Pool};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

use crate::check::refused;
use crate::engine::read;

/// The backends of a description's only pool, to pick from.
#[pyclass(module = "fairlead._engine", frozen)]
pub(crate) struct Balancer {
    pool: Arc<Pool>,
    place: Mutex<Place>,
}

/// What moves with every pick.
struct Place {
    cursor: Cursor,
    rng: Rng,
}

struct Rng(fastrand::Rng);

impl Random for Rng {
    fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
}

#[pymethods]
impl Balancer {
    #[new]
    fn new(spec_json: &str, seed: Option<u64>) -> PyResult<Self> {
        let spec: Spec = read(spec_json)?;
        let plan = Plan::build(&spec, &Live::new()).map_err(|errors| refused(&errors))?;
        let pool =
            plan.pools.into_iter().next().ok_or_else(|| PyValueError::new_err("a pool is expected"))?;
        let cursor = Cursor::new(&pool.membership.picker, 0, 1);
        let rng = Rng(seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed));
        Ok(Self { pool, place: Mutex::new(Place { cursor, rng }) })
    }

    /// Takes a place at a backend: its index, or why there is none.
    fn pick(&self, key: Option<&[u8]>, avoid: Vec<usize>) -> PyResult<(Option<usize>, &'static str)> {
        self.picked(key.map(hash), avoid)
    }

    /// The same for a client's address.
    fn pick_address(&self, address: &str, avoid: Vec<usize>) -> PyResult<(Option<usize>, &'static str)> {
        let address: IpAddr =
            address.parse().map_err(|_| PyValueError::new_err(format!("{address:?} is no IP address")))?;
        let v6_prefix = match self.picker().algorithm() {
            Algorithm::IpHash { v6_prefix } => v6_prefix,
            _ => 128,
        };
        self.picked(Some(hash_address(address, v6_prefix)), avoid)
    }

    /// Gives a place back; with the time the work took, if it says how fast the backend is.
    fn end(&self, backend: usize, seconds: Option<f64>) -> PyResult<()> {
        let member = self.picker().members().get(backend).ok_or_else(|| PyIndexError::new_err(backend))?;
        if let Some(took) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            let now = now();
            self.picker().observe(backend, took, now);
            self.picker().adapt(backend, Some(took), now);
        }
        member.live.end();
        Ok(())
    }

    /// Says that work with a backend failed before there was an answer.
    fn failed(&self, backend: usize) {
        self.picker().failed(backend, now());
    }

    /// Who is picked from: id, and address as it is dialled.
    fn backends(&self) -> Vec<(String, String)> {
        let backends = &self.pool.membership.backends;
        backends.iter().map(|backend| (backend.id.to_string(), address(&backend.address))).collect()
    }

    /// Places taken at each backend now.
    fn in_flight(&self) -> Vec<u32> {
        self.picker().members().iter().map(|member| member.live.in_flight()).collect()
    }

    /// The average time of each backend's answers in seconds, where it is known and the algorithm goes by it.
    fn times(&self) -> Vec<Option<f64>> {
        let Some(how) = self.picker().algorithm().timing() else {
            return vec![None; self.picker().members().len()];
        };
        let now = now();
        let estimate =
            |live: &fairlead_balance::BackendLive| live.estimate(now, how).map(|time| time.as_secs_f64());
        self.picker().members().iter().map(|member| estimate(&member.live)).collect()
    }

    /// Stands for what backends are picked by.
    fn digest(&self) -> u64 {
        self.picker().digest()
    }
}

impl Balancer {
    fn picker(&self) -> &Picker {
        &self.pool.membership.picker
    }

    fn picked(&self, key: Option<u64>, avoid: Vec<usize>) -> PyResult<(Option<usize>, &'static str)> {
        let mut tried = Tried::new();
        if !avoid.into_iter().all(|member| tried.insert(member)) {
            return Err(PyValueError::new_err(format!(
                "at most {} backends can be avoided",
                Tried::CAPACITY
            )));
        }
        // A panic while it was held left a place in the rotation, whichever it is.
        let Place { cursor, rng } = &mut *self.place.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match self.picker().pick(&Ask { tried: &tried, key }, cursor, rng, now()) {
            Ok(member) => (Some(member), ""),
            Err(none) => (None, reason(none)),
        })
    }
}

fn address(address: &BackendAddress) -> String {
    match address {
        BackendAddress::Ip(address) => address.to_string(),
        BackendAddress::Unix(path) => format!("unix:{path}"),
    }
}

fn reason(none: NoBackend) -> &'static str {
    match none {
        NoBackend::Empty => "no backend has a weight",
        NoBackend::NoneUsable => "no backend takes new work",
        NoBackend::AllTried => "every backend is to be avoided",
        NoBackend::AllFull => "every backend has max_in_flight requests",
    }
}

#[expect(clippy::disallowed_methods, reason = "here, outside the engine, is where time comes from")]
fn now() -> Instant {
    Instant::now()
}
