//! The room through its public door: real Delta tables, and every case in `tests/cases`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

#[cfg(feature = "ballista")]
mod ballista;
mod cases;
mod elsewhere;
mod steps;
mod tables;
