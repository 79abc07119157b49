//! The engine process' whole life.

use std::io::Write as _;

use fairlead_engine::Settings;
use pyo3::prelude::*;

use crate::engine::read;

/// Is an engine until it is told to stop; returns the process' exit code.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>, settings_json: &str) -> PyResult<i32> {
    let settings: Settings = read(settings_json)?;
    let ended = py.detach(|| fairlead_engine::serve(settings));
    Ok(match ended {
        Ok(()) => 0,
        Err(error) => {
            // Whoever started the process reads its standard error; there is nobody else to tell.
            let _ = writeln!(std::io::stderr(), "fairlead engine: {error}");
            1
        }
    })
}
