//! The compiled configuration.
#![allow(missing_docs)] // until Plan stands

pub mod spec;
