//! For tests: the process kills itself between two instructions that no test could hit from outside.
//!
//! `MILLRACE_TEST_COMMITS` names a file that gets a byte before and after each commit, so that a test learns how many there are;
//! `MILLRACE_TEST_KILL_AT` is the number, from 0, of the one at which the process is killed with -9.

use std::sync::atomic::{AtomicU64, Ordering};

use millrace_metastore::commits;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(super) fn install() {
    let told = std::env::var_os("MILLRACE_TEST_COMMITS");
    let kill_at = std::env::var("MILLRACE_TEST_KILL_AT").ok().and_then(|number| number.parse::<u64>().ok());
    if told.is_none() && kill_at.is_none() {
        return;
    }
    let passed = AtomicU64::new(0);
    commits::watch(move || {
        let number = passed.fetch_add(1, Ordering::SeqCst);
        if let Some(file) = &told {
            use std::io::Write as _;
            let opened = fs_err::OpenOptions::new().create(true).append(true).open(file);
            let _ = opened.and_then(|mut file| file.write_all(b"."));
        }
        if kill_at == Some(number) {
            let _ = kill(Pid::this(), Signal::SIGKILL);
            // Nothing more may happen in the microseconds until the kernel gets to it.
            loop {
                std::thread::park();
            }
        }
    });
}
