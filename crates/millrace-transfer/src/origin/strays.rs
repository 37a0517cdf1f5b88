//! What a program has started and what left its process group and its session: known by a variable that it was given and hands on.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// In the environment of every program: a mark of its own.
pub(super) const VARIABLE: &str = "MILLRACE_SOURCE";

/// Longest wait for killed processes to go; one that the kernel holds goes when it lets go.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// Kills every process that carries a mark. What forks meanwhile is found with the next look.
pub(super) fn end(mark: &str) {
    let wanted = format!("{VARIABLE}={mark}");
    let until = Instant::now() + PATIENCE;
    loop {
        let left = carriers(wanted.as_bytes());
        if left.is_empty() || Instant::now() >= until {
            return;
        }
        for process in left {
            // It may have ended in between, which is what is wanted.
            let _ = kill(process, Signal::SIGKILL);
        }
        std::thread::sleep(PAUSE);
    }
}

/// None where the system has no `/proc`; then the process group is what is ended.
fn carriers(wanted: &[u8]) -> Vec<Pid> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let carries = |process: &i32| {
        // Those of other users cannot be read, nor killed; one that has ended has none.
        let environment = fs_err::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    };
    processes.filter(carries).map(Pid::from_raw).collect()
}
