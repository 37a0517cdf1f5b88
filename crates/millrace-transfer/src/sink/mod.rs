//! Where rows go.

mod file;
pub(crate) mod stored;

pub(crate) use file::write_local;
