//! Where rows go.

mod file;
pub(crate) mod object;
mod postgres;

pub(crate) use file::write_local;
pub(crate) use postgres::write_postgres;
