//! The room through its public door: real Delta tables, and every case in `tests/cases`.

mod cases;
mod steps;
mod tables;
