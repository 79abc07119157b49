//! What is said on the channel.

use std::collections::BTreeMap;

use fairlead_plan::spec::{Members, Spec};
use serde::{Deserialize, Serialize};

use crate::engine::{Command, Said, Setting, Settings, Shared, Verdicts, Wanted, bound_addresses};
use crate::error::{CallError, CallErrorKind, Problem};
use crate::probe::CheckResult;
use crate::tls::Secrets;

/// Of frames and hellos. What is in them goes with the engine's version.
pub(super) const PROTOCOL: u32 = 1;

/// What an engine says first.
#[derive(Serialize)]
pub(super) struct Hello<'a> {
    protocol: u32,
    version: &'static str,
    pid: u32,
    workers: usize,
    plan_version: Option<u64>,
    bound: BTreeMap<String, BTreeMap<String, String>>,
    /// Addresses of the admin interface.
    admin: Vec<String>,
    stopping: bool,
    settings: &'a Settings,
}

impl<'a> Hello<'a> {
    pub(super) fn of(shared: &'a Shared) -> Self {
        let state = shared.state();
        Self {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            workers: shared.workers,
            plan_version: state.plan.as_ref().map(|plan| plan.version),
            bound: bound_addresses(&state.listeners),
            admin: state.admin_bound.clone(),
            stopping: state.stopping,
            settings: &shared.settings,
        }
    }
}

/// What a control process answers.
#[derive(Deserialize)]
pub(super) struct Greeting {
    hello: Theirs,
}

#[derive(Deserialize)]
struct Theirs {
    #[serde(rename = "protocol")]
    spoken: u32,
    version: String,
}

impl Greeting {
    /// What is wrong with it, if anything.
    pub(super) fn mismatch(&self) -> Option<CallError> {
        let ours = env!("CARGO_PKG_VERSION");
        let Theirs { spoken, version } = &self.hello;
        (*spoken != PROTOCOL || version != ours).then(|| {
            CallError::restart_needed(
                &[],
                format_args!(
                    "this engine (PID {}) is of version {ours}, the control process of {version}: stop the engine \
                     (SIGTERM drains it) and start it anew",
                    std::process::id()
                ),
            )
        })
    }
}

/// A call: which, and what it needs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) id: u64,
    #[serde(rename = "call")]
    name: Name,
    spec: Option<Box<Spec>>,
    members: Option<Members>,
    verdicts: Option<Verdicts>,
    checked: Option<CheckResult>,
    set: Option<Setting>,
    connections: Option<Wanted>,
    command: Option<Command>,
    routes: Option<bool>,
    affinity: Option<Said>,
    secrets: Option<Secrets>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Apply,
    Secrets,
    Members,
    Restore,
    Checked,
    Set,
    Connections,
    Command,
    Stats,
    Affinity,
}

/// What is asked for.
pub(super) enum Asked {
    Apply(Box<Spec>),
    Secrets(Secrets),
    Members(Members),
    Restore(Verdicts),
    Checked(CheckResult),
    Set(Setting),
    Connections(Wanted),
    Command(Command),
    Stats { routes: bool },
    Affinity(Said),
}

impl Call {
    /// Reads a call; what can't be one is refused under its number, if it has one.
    pub(super) fn read(text: &[u8]) -> Result<(u64, Asked), Reply> {
        #[derive(Deserialize)]
        struct Numbered {
            id: u64,
        }
        match serde_json::from_slice::<Self>(text) {
            Ok(call) => {
                let id = call.id;
                call.asked()
                    .map(|asked| (id, asked))
                    .ok_or_else(|| Reply::malformed(id, "an argument is missing"))
            }
            Err(error) => {
                let id = serde_json::from_slice(text).map_or(0, |Numbered { id }| id);
                Err(Reply::malformed(id, &error.to_string()))
            }
        }
    }

    fn asked(self) -> Option<Asked> {
        match self.name {
            Name::Apply => self.spec.map(Asked::Apply),
            Name::Secrets => self.secrets.map(Asked::Secrets),
            Name::Members => self.members.map(Asked::Members),
            Name::Restore => self.verdicts.map(Asked::Restore),
            Name::Checked => self.checked.map(Asked::Checked),
            Name::Set => self.set.map(Asked::Set),
            Name::Connections => self.connections.map(Asked::Connections),
            Name::Command => self.command.map(Asked::Command),
            Name::Affinity => self.affinity.map(Asked::Affinity),
            Name::Stats => Some(Asked::Stats { routes: self.routes.unwrap_or(false) }),
        }
    }
}

/// The answer to the result of a check.
#[derive(Serialize)]
pub(super) struct More {
    /// Whether more results are wanted soon.
    pub(super) more: bool,
}

/// The answer to a call.
#[derive(Debug, Serialize)]
pub(super) struct Reply {
    id: u64,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok(serde_json::Value),
    Error(CallError),
}

impl Reply {
    pub(super) fn new(id: u64, result: Result<impl Serialize, CallError>) -> Self {
        let outcome = match result.map(serde_json::to_value) {
            Ok(Ok(value)) => Outcome::Ok(value),
            Ok(Err(error)) => Outcome::Error(CallError::internal(error)),
            Err(error) => Outcome::Error(error),
        };
        Self { id, outcome }
    }

    fn malformed(id: u64, message: &str) -> Self {
        let problem = Problem { path: Vec::new(), message: format!("not understood: {message}") };
        Self {
            id,
            outcome: Outcome::Error(CallError { kind: CallErrorKind::Refused, errors: vec![problem] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(call: &serde_json::Value) -> Result<(u64, Asked), serde_json::Value> {
        Call::read(call.to_string().as_bytes()).map_err(|reply| serde_json::to_value(reply).unwrap())
    }

    #[test]
    fn calls_are_read_with_their_arguments() {
        let stop = json!({"id": 3, "call": "command", "command": {"stop": {"deadline_ms": 5}}});
        assert!(matches!(read(&stop), Ok((3, Asked::Command(Command::Stop { deadline_ms: 5 })))));
        let stats = json!({"id": 4, "call": "stats", "routes": true});
        assert!(matches!(read(&stats), Ok((4, Asked::Stats { routes: true }))));
        let checked = json!({"id": 6, "call": "checked", "checked":
            {"pool": "a", "backend": "b", "good": true, "reason": "fine", "duration_ms": 5}});
        assert!(matches!(read(&checked), Ok((6, Asked::Checked(CheckResult { good: true, .. })))));
        let members =
            json!({"id": 5, "call": "members", "members": {"pool": "a", "generation": 2, "backends": []}});
        let set = json!({
            "id": 6, "call": "set", "set": {"pool": "a", "backend": "b", "mode": "drain", "weight": null},
        });
        assert!(matches!(read(&set), Ok((6, Asked::Set(Setting { weight: None, .. })))));
        assert!(matches!(read(&members), Ok((5, Asked::Members(Members { generation: 2, .. })))));
        let restore = json!({"id": 6, "call": "restore", "verdicts": {"a": {"b": false}}});
        assert!(matches!(read(&restore), Ok((6, Asked::Restore(verdicts))) if !verdicts["a"]["b"]));
    }

    #[test]
    fn a_bad_call_is_refused_under_its_number() {
        let bad = [
            json!({"id": 7, "call": "apply", "spec": {"version": 1}}),
            json!({"id": 7, "call": "apply"}),
            json!({"id": 7, "call": "fly"}),
        ];
        for call in bad {
            let reply = read(&call).err().unwrap();
            assert_eq!((&reply["id"], &reply["error"]["kind"]), (&json!(7), &json!("refused")), "{reply}");
        }
    }

    #[test]
    fn another_version_is_told_what_to_stop() {
        let greeting: Greeting =
            serde_json::from_value(json!({"hello": {"protocol": 1, "version": "99.0"}})).unwrap();
        let error = greeting.mismatch().unwrap();
        assert_eq!(error.kind, CallErrorKind::RestartNeeded);
        assert!(error.to_string().contains(&format!("PID {}", std::process::id())));
    }
}
