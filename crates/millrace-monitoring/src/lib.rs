//! Watches data and models: quality and drift of a table against a reference, alert rules, and the newest signals for scrapers.
//!
//! Owns: the measures ([`measure`]), the two-key rule ([`drift`]), the step kind `monitor`, alert rules and their delivery. Leaves to
//! others: reading tables (a [`millrace_contract::QueryEngine`]) and showing results.
#![warn(missing_docs)]

pub mod alert;
pub mod alerts;
mod channel;
pub mod distribution;
pub mod drift;
pub mod latest;
pub mod measure;
pub mod notifications;
pub mod rule;
pub mod sample;
pub mod step;

#[cfg(test)]
mod drift_tests;
#[cfg(test)]
mod measure_tests;
