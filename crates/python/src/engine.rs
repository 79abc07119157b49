//! An engine within the Python program: the calls of `fairlead_engine::Engine`, with JSON for what has a shape.

use std::time::Duration;

use fairlead_engine::{CallError, Engine as Native, Settings};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

pyo3::create_exception!(
    fairlead._engine,
    EngineError,
    pyo3::exceptions::PyException,
    "A call changed nothing; the text is JSON."
);

/// An engine within this program.
#[pyclass(module = "fairlead._engine", frozen)]
pub(crate) struct Engine(Native);

#[pymethods]
impl Engine {
    #[new]
    fn new(py: Python<'_>, settings_json: &str) -> PyResult<Self> {
        let settings: Settings = read(settings_json)?;
        let started = py.detach(|| Native::start(settings));
        started.map(Self).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// Serves by this description from now on.
    fn apply(&self, py: Python<'_>, spec_json: &str) -> PyResult<String> {
        py.detach(|| {
            let spec = read(spec_json)?;
            self.0.apply(&spec).map_err(|error| refused(&error)).map(|applied| written(&applied))
        })
    }

    /// Takes the certificates and keys that listeners ask for.
    fn secrets(&self, py: Python<'_>, secrets_json: &str) -> PyResult<()> {
        py.detach(|| self.0.secrets(&read(secrets_json)?).map_err(|error| refused(&error)))
    }

    /// Replaces who is in a pool.
    fn members(&self, py: Python<'_>, members_json: &str) -> PyResult<()> {
        py.detach(|| self.0.members(read(members_json)?).map_err(|error| refused(&error)))
    }

    /// Tells what checks said before.
    fn restore(&self, py: Python<'_>, verdicts_json: &str) -> PyResult<()> {
        let verdicts = read(verdicts_json)?;
        py.detach(|| self.0.restore(verdicts));
        Ok(())
    }

    /// Takes what a check found that was made elsewhere.
    fn checked(&self, py: Python<'_>, result_json: &str) -> PyResult<bool> {
        let result = read(result_json)?;
        Ok(py.detach(|| self.0.checked(result)))
    }

    /// Takes what other nodes say of pools' clients.
    fn affinity(&self, py: Python<'_>, said_json: &str) -> PyResult<()> {
        py.detach(|| read(said_json).map(|said| self.0.affinity(&said)))
    }

    /// What other nodes are to know of pools' clients.
    fn affinity_changes(&self, py: Python<'_>) -> String {
        py.detach(|| written(&self.0.affinity_changes()))
    }

    /// Does what an operator wants of a backend.
    fn set(&self, py: Python<'_>, setting_json: &str) -> PyResult<()> {
        py.detach(|| self.0.set(&read(setting_json)?).map_err(|error| refused(&error)))
    }

    /// Who is connected.
    fn connections(&self, py: Python<'_>, wanted_json: &str) -> PyResult<String> {
        py.detach(|| {
            let connected = self.0.connections(&read(wanted_json)?);
            connected.map_err(|error| refused(&error)).map(|connected| written(&connected))
        })
    }

    /// Does something that is no configuration.
    fn command(&self, py: Python<'_>, command_json: &str) -> PyResult<()> {
        let command = read(command_json)?;
        py.detach(|| self.0.command(command));
        Ok(())
    }

    /// What goes on now.
    fn stats(&self, py: Python<'_>, routes: bool) -> String {
        py.detach(|| written(&self.0.stats(routes)))
    }

    /// The next event.
    fn next_event(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<String>> {
        let timeout = seconds(timeout)?;
        Ok(py.detach(|| self.0.next_event(timeout).map(|event| written(&event))))
    }

    /// Drains and ends.
    fn stop(&self, py: Python<'_>, deadline_seconds: f64) -> PyResult<()> {
        let patience = seconds(deadline_seconds)?;
        py.detach(|| self.0.stop(patience));
        Ok(())
    }
}

pub(crate) fn read<T: DeserializeOwned>(json: &str) -> PyResult<T> {
    serde_json::from_str(json).map_err(|error| PyValueError::new_err(error.to_string()))
}

pub(crate) fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("invariant: what the engine reports has only text as keys")
}

fn refused(error: &CallError) -> PyErr {
    EngineError::new_err(written(error))
}

fn seconds(number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number).map_err(|error| PyValueError::new_err(error.to_string()))
}
