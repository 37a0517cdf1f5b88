//! The room through its public door: real Delta tables, and every case in `tests/cases`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cases;
mod steps;
mod tables;
