//! Models, endpoints and steps as the server and the engine use them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod dialects;
mod endpoints;
mod models;
mod steps;
mod support;
