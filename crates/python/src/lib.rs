//! The native module of the Python package: converts, releases the GIL, calls, maps errors. It decides nothing.
//! What Python sees of it is described in `python/fairlead/_engine.pyi`.

// Questions about a description that need no engine.
mod certificates;
mod check;

// The engine's picker, for programs that dial by themselves.
mod balance;

// What would happen to a pool.
mod simulate;

// An engine: within the program, or as the whole process.
mod engine;
mod serve;

use mimalloc::MiMalloc;
use pyo3::prelude::*;

/// Gives memory back after a burst, and takes no lock that another worker can hold.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(check::check, module)?)?;
    module.add_function(wrap_pyfunction!(check::route, module)?)?;
    module.add_function(wrap_pyfunction!(certificates::certificates, module)?)?;
    module.add_class::<balance::Balancer>()?;
    module.add_function(wrap_pyfunction!(simulate::simulate, module)?)?;
    module.add("EngineError", module.py().get_type::<engine::EngineError>())?;
    module.add_class::<engine::Engine>()?;
    module.add_function(wrap_pyfunction!(serve::serve, module)?)
}
