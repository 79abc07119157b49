//! The engine's own answers on the admin interface.

use fairlead_wire::head::{Head, Version};
use fairlead_wire::http1::encode::{self, Framing};
use serde_json::json;

use crate::clock;
use crate::engine::Shared;
use crate::telemetry;

/// A small answer, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    reason: &'static str,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn json(status: u16, reason: &'static str, body: &serde_json::Value) -> Self {
        Self { status, reason, content_type: "application/json", body: format!("{body}\n") }
    }

    fn text(status: u16, reason: &'static str, body: &str) -> Self {
        Self { status, reason, content_type: "text/plain; charset=utf-8", body: format!("{body}\n") }
    }

    /// The answer to a path of the engine's own; `None`: it is the control process'.
    pub(super) fn to(shared: &Shared, method: &[u8], path: &[u8]) -> Option<Self> {
        let make: fn(&Shared) -> Self = match path {
            b"/healthz" => |_| Self::text(200, "OK", "ok"),
            b"/readyz" => ready,
            b"/metrics" => metrics,
            _ => return None,
        };
        if !matches!(method, b"GET" | b"HEAD") {
            return Some(Self::text(405, "Method Not Allowed", "read only"));
        }
        Some(make(shared))
    }

    /// What is not understood.
    pub(super) fn refusal(status: u16, reason: &str) -> Self {
        Self::json(status, "Bad Request", &json!({ "error": reason }))
    }

    /// The control process doesn't answer.
    pub(super) fn control_is_away() -> Self {
        let error =
            "the control process doesn't answer; the engine serves on. Start it again with `fairlead run`";
        Self::json(503, "Service Unavailable", &json!({ "error": error }))
    }

    /// The whole answer, without its body for HEAD.
    pub(super) fn encode(&self, head_only: bool, persistent: bool, out: &mut Vec<u8>) {
        let mut head = Head::new();
        head.start_response(self.status, self.reason.as_bytes(), Version::Http11);
        head.append(b"Date", httpdate::fmt_http_date(clock::wall()).as_bytes());
        head.append(b"Content-Type", self.content_type.as_bytes());
        head.append(b"Cache-Control", b"no-store");
        if self.status == 405 {
            head.append(b"Allow", b"GET, HEAD");
        }
        if !persistent {
            head.append(b"Connection", b"close");
        }
        encode::response(&head, Framing::Length(self.body.len() as u64), out);
        if !head_only {
            out.extend_from_slice(self.body.as_bytes());
        }
    }
}

fn ready(shared: &Shared) -> Answer {
    let state = shared.state();
    match (&state.plan, state.stopping) {
        (_, true) => Answer::text(503, "Service Unavailable", "stopping"),
        (None, _) => Answer::text(503, "Service Unavailable", "no configuration yet"),
        (Some(_), false) if !shared.wards().is_known(clock::now()) => {
            Answer::text(503, "Service Unavailable", "backends are being checked for the first time")
        }
        (Some(_), false) => Answer::text(200, "OK", "ready"),
    }
}

fn metrics(shared: &Shared) -> Answer {
    let body = telemetry::render(shared);
    Answer { status: 200, reason: "OK", content_type: "text/plain; version=0.0.4; charset=utf-8", body }
}
