use serde::{Deserialize, Serialize};

/// What an attempt used, as far as it was measured: what is absent is not known, which is not the same as nothing.
///
/// For a command the kernel counted it: the program and every process that it, or one of them, waited for. Daemons that left it are not
/// in there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptCost {
    /// Processor time in the program's own code, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_user_ms: Option<u64>,
    /// Processor time in the kernel on its behalf, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_system_ms: Option<u64>,
    /// Largest resident set of a single process, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Bytes that calls of `read` brought, from files and pipes, cached or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes that calls of `write` took, to files and pipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}

impl AttemptCost {
    /// User plus system time, milliseconds; `None` if neither was measured.
    pub fn cpu_ms(&self) -> Option<u64> {
        match (self.cpu_user_ms, self.cpu_system_ms) {
            (None, None) => None,
            (user, system) => Some(user.unwrap_or(0).saturating_add(system.unwrap_or(0))),
        }
    }

    /// What both used, one after the other or side by side: sums, and the larger of the two peaks.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            cpu_user_ms: sum(self.cpu_user_ms, other.cpu_user_ms),
            cpu_system_ms: sum(self.cpu_system_ms, other.cpu_system_ms),
            peak_memory_bytes: self.peak_memory_bytes.max(other.peak_memory_bytes),
            read_bytes: sum(self.read_bytes, other.read_bytes),
            written_bytes: sum(self.written_bytes, other.written_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_does_not_become_nothing() {
        let known =
            AttemptCost { cpu_user_ms: Some(5), peak_memory_bytes: Some(9), ..AttemptCost::default() };
        let other = AttemptCost {
            cpu_user_ms: Some(2),
            cpu_system_ms: Some(1),
            peak_memory_bytes: Some(4),
            ..AttemptCost::default()
        };
        let both = known.and(other);
        assert_eq!((both.cpu_ms(), both.peak_memory_bytes, both.read_bytes), (Some(8), Some(9), None));
        assert_eq!(AttemptCost::default().and(AttemptCost::default()).cpu_ms(), None);
    }
}
