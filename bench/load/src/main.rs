//! `fairlead-load origin|load|relay|idle`: what Fairlead and its peers are measured with, in one small program.
//!
//! - `origin`: an HTTP/1.1 server with answers of a given size; prints `listening ADDRESS`.
//! - `load`: requests in an open loop at a rate, or as fast as they go; prints one JSON object.
//! - `relay`: accepts, connects, pumps bytes: the floor below which no proxy can be.
//! - `idle`: opens connections, one request each, and holds them until its standard input closes.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "a load generator reads the clock and sleeps to a schedule")]

mod idle;
mod load;
mod origin;
mod relay;
mod report;
mod response;

use std::process::ExitCode;

use tokio::runtime::{LocalOptions, LocalRuntime};

/// Any failure, in words.
type Fault = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut arguments = lexopt::Parser::from_env();
    match run(&mut arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("fairlead-load: {fault}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &mut lexopt::Parser) -> Result<(), Fault> {
    use lexopt::prelude::*;
    let Some(Value(verb)) = arguments.next()? else {
        return Err("say what to do: origin, load, relay or idle".into());
    };
    let runtime: LocalRuntime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    match verb.string()?.as_str() {
        "origin" => runtime.block_on(origin::run(origin::Options::parse(arguments)?)),
        "load" => runtime.block_on(load::run(load::Options::parse(arguments)?)),
        "relay" => runtime.block_on(relay::run(relay::Options::parse(arguments)?)),
        "idle" => runtime.block_on(idle::run(idle::Options::parse(arguments)?)),
        other => Err(format!("unknown verb {other:?}: origin, load, relay or idle").into()),
    }
}
