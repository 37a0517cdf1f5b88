//! The shim alone, for this crate's tests. The product's binary has it as `millrace __exec <folder>`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().next_back() {
        Some(folder) => millrace_compute::exec_shim(&PathBuf::from(folder)),
        None => ExitCode::from(2),
    }
}
