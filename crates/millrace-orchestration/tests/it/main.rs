//! The engine on a real database, with steps that a test ends when it likes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod nowhere;
mod rooms;
mod state_machine;
