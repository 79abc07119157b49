//! What only the operating system can do. The one module of this crate where `unsafe` is allowed.
#![allow(unsafe_code)] // each block says why it is sound

pub(crate) mod datagrams;
mod options;
mod privileges;
mod queue;
mod readiness;
mod resources;
mod signals;

pub(crate) use options::{may_be_transparent, set_fast_open, set_transparent};
pub(crate) use privileges::{User, drop_privileges};
pub(crate) use queue::output_queue;
pub(crate) use readiness::{SharedSocket, watch, watch_own};
pub(crate) use resources::{
    adopt_descriptor, disable_huge_pages, raise_descriptor_limit, rss_bytes, secret, usage,
};
pub(crate) use signals::ignore_terminal_signals;
