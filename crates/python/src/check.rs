//! Questions about a description that need no engine: is it good, and which route would a request take.

use fairlead_plan::spec::Spec;
use fairlead_plan::{Checked, Listener, SpecError, Verdict};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::{Value, json};

/// A [`SpecError`] as a `dict`.
#[derive(IntoPyObject)]
pub(crate) struct Complaint {
    path: Vec<String>,
    message: String,
}

impl From<SpecError> for Complaint {
    fn from(error: SpecError) -> Self {
        Self { path: error.path, message: error.message }
    }
}

/// Everything that is wrong with a description.
#[pyfunction]
pub(crate) fn check(py: Python<'_>, spec_json: &str) -> PyResult<Vec<Complaint>> {
    let errors = py.detach(|| read(spec_json).map(|spec| Checked::of(&spec).err()))?;
    Ok(errors.into_iter().flatten().map(Complaint::from).collect())
}

/// Which route of a listener a request takes, and why.
#[pyfunction]
pub(crate) fn route(
    py: Python<'_>,
    spec_json: &str,
    listener: &str,
    host: &str,
    path: &str,
) -> PyResult<String> {
    py.detach(|| {
        let spec = read(spec_json)?;
        let checked = Checked::of(&spec).map_err(|errors| refused(&errors))?;
        let listener = checked
            .listeners
            .iter()
            .find(|candidate| &*candidate.name == listener)
            .ok_or_else(|| PyValueError::new_err(format!("there is no listener {listener:?}")))?;
        Ok(explained(&spec, listener, host, path).to_string())
    })
}

fn read(spec_json: &str) -> PyResult<Spec> {
    serde_json::from_str(spec_json).map_err(|error| PyValueError::new_err(error.to_string()))
}

pub(crate) fn refused(errors: &[SpecError]) -> PyErr {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    PyValueError::new_err(lines.join("\n"))
}

fn explained(spec: &Spec, listener: &Listener, host: &str, path: &str) -> Value {
    let explanation = match listener.explain(host.as_bytes(), path.as_bytes()) {
        Ok(explanation) => explanation,
        Err(refusal) => {
            let (status, reason, clause) = (refusal.status, refusal.reason, refusal.clause);
            return json!({"refused": {"status": status, "reason": reason, "clause": clause}});
        }
    };
    let steps = explanation.steps.iter().map(|step| {
        let route = &listener.routes[step.route];
        let by = match step.verdict {
            Verdict::Outranked(criterion) => Some(criterion.name()),
            _ => None,
        };
        json!({
            "route": step.route,
            "id": &*route.id,
            "pool": &spec.pools[route.pool].name,
            "verdict": step.verdict.name(),
            "by": by,
        })
    });
    json!({
        "path": String::from_utf8_lossy(&explanation.path),
        "route": explanation.route,
        "steps": steps.collect::<Vec<_>>(),
    })
}
