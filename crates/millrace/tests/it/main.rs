//! Drives the real executable in workspaces of their own, as a user would.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod approvals;
mod bucket;
mod called;
mod clients;
mod commands;
mod datasets;
mod demo_kills;
mod environments;
mod events;
mod experiments;
mod faults;
mod full_disk;
mod fuzz;
mod guides;
mod import;
mod items;
mod mlflow;
mod notify;
mod orchestrators;
mod project;
mod queues;
mod restart;
mod run_page;
mod schedules;
mod secrets;
mod server;
mod serving;
mod several;
mod sub_runs;
mod tracking_kills;
mod unreadable_secrets;
