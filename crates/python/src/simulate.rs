//! What would happen to a pool, for Python programs.

use std::time::Instant;

use fairlead_plan::spec::Spec;
use fairlead_simulate::{Refused, Scenario, Simulation};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::engine::{read, written};

/// Runs a scenario against a pool of a description.
#[pyfunction]
pub(crate) fn simulate(
    py: Python<'_>,
    spec_json: &str,
    pool: &str,
    scenario_json: &str,
    seed: u64,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let spec: Spec = read(spec_json)?;
    let scenario: Scenario = read(scenario_json)?;
    py.detach(move || {
        let mut failure = None;
        let mut tell = |part: f64| {
            let told = Python::attach(|py| {
                py.check_signals()?;
                progress.as_ref().map_or(Ok(()), |progress| progress.call1(py, (part,)).map(drop))
            });
            failure = told.err();
            failure.is_none()
        };
        let simulation = Simulation { spec: &spec, pool, scenario: &scenario, seed };
        let report = simulation.run(now(), &mut tell);
        match (report, failure) {
            (Ok(report), _) => Ok(written(&report)),
            (Err(Refused::Stopped), Some(failure)) => Err(failure),
            (Err(refused), _) => Err(PyValueError::new_err(refused.to_string())),
        }
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "made-up time begins at some moment, whose value plays no part"
)]
fn now() -> Instant {
    Instant::now()
}
