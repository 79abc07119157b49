//! The data plane: executes a Plan on N worker threads. It knows no file format, no Python and no "why".
//!
//! In the order a request meets them:
#![allow(dead_code, missing_docs)] // the parts are put together one by one

mod admin;
mod buffer;
mod channel;
mod clock;
mod engine;
mod error;
mod filter;
mod http;
mod io;
mod listener;
mod proxy;
mod published;
mod telemetry;
mod unix;
mod upstream;
mod worker;
