//! Where rows go.

mod file;
mod postgres;

pub(crate) use file::write_file;
pub(crate) use postgres::write_postgres;
