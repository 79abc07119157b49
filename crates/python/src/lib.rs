//! The native module of the Python package: converts, releases the GIL, calls, maps errors. It decides nothing.
//! What Python sees of it is described in `python/fairlead/_engine.pyi`.

// Questions about a description that need no engine.
mod check;

use pyo3::prelude::*;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(check::check, module)?)?;
    module.add_function(wrap_pyfunction!(check::route, module)?)
}
