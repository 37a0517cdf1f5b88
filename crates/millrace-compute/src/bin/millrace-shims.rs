//! The fork server of shims alone, for this crate's tests. The product's binary has it as `millrace __shims`.

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace_compute::serve_shims()
}
