//! What a program used, as the kernel counted it.

use millrace_contract::AttemptCost;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;

/// Bytes that the calls of a process brought and took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Transfer {
    read_bytes: Option<u64>,
    written_bytes: Option<u64>,
}

impl Transfer {
    /// Asks for a process that has ended and is not reaped yet. What it waited for is counted with it.
    pub(super) fn of(pid: Pid) -> Self {
        // Not every kernel counts, and one that does may not say.
        fs_err::read_to_string(format!("/proc/{pid}/io")).map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Self { read_bytes: number("rchar:"), written_bytes: number("wchar:") }
    }
}

/// What the children used that were waited for: the program and what it waited for.
pub(super) fn cost(transfer: Transfer) -> AttemptCost {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
    let milliseconds = |time: TimeVal| u64::try_from(time.tv_sec() * 1000 + time.tv_usec() / 1000).ok();
    AttemptCost {
        cpu_user_ms: usage.and_then(|usage| milliseconds(usage.user_time())),
        cpu_system_ms: usage.and_then(|usage| milliseconds(usage.system_time())),
        // The kernel says kibibytes.
        peak_memory_bytes: usage.and_then(|usage| Some(u64::try_from(usage.max_rss()).ok()? * 1024)),
        read_bytes: transfer.read_bytes,
        written_bytes: transfer.written_bytes,
    }
}

/// How often the kernel's out-of-memory killer has struck since boot.
pub(super) fn oom_kills() -> u64 {
    let Ok(text) = fs_err::read_to_string("/proc/vmstat") else { return 0 };
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_counts_nothing_leaves_it_open() {
        let counted = Transfer { read_bytes: Some(12), written_bytes: Some(7) };
        assert_eq!(Transfer::parse("rchar: 12\nwchar: 7\nsyscr: 3\n"), counted);
        assert_eq!(Transfer::parse(""), Transfer::default());
        assert_eq!(Transfer::of(Pid::from_raw(i32::MAX)), Transfer::default());
    }
}
