//! What the tests need beside Rust: servers from Debian. They are installed only when absent.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::shell::run;

/// Debian package and a file that tells that it is there.
const SERVERS: &[(&str, &str)] = &[("postgresql", "/usr/lib/postgresql")];

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Installs the absent ones with apt; where there is no apt, the tests that need them say that they are skipped.
pub(crate) fn install_test_servers() -> Result<()> {
    let absent: Vec<&str> =
        SERVERS.iter().filter(|(_, mark)| !Path::new(mark).exists()).map(|(package, _)| *package).collect();
    if absent.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        eprintln!("warning: no apt-get here; install {} by hand to run their tests", absent.join(", "));
        return Ok(());
    }
    let here = Path::new(".");
    run(here, "apt-get", &["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(absent);
    run(here, "apt-get", &arguments)
}
