//! One beat for the loops of a process that look again and again.
//!
//! A loop that wakes an idle process pays for it, whatever it does then: caches are cold, a core may sleep. Loops that wake at the same
//! moments pay once. Kernels group their timers for the same reason (`round_jiffies` of Linux, coalesced timers of Windows).

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// Sleeps until the next moment that is a whole number of times `every` after the process's first beat: at most as long as `every`,
/// which counts in milliseconds and is one at least.
pub async fn beat(every: Duration) {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    let first = *FIRST.get_or_init(|| now);
    let every = every.max(Duration::from_millis(1));
    let gone = now.saturating_duration_since(first).as_millis() / every.as_millis();
    let next = u32::try_from(gone).unwrap_or(u32::MAX).saturating_add(1);
    tokio::time::sleep_until(first + every.saturating_mul(next)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn loops_wake_at_the_same_moments() {
        beat(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let started = Instant::now();
        let woken = |every| async move {
            beat(every).await;
            started.elapsed()
        };
        let (one, other) = tokio::join!(woken(Duration::from_secs(1)), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            woken(Duration::from_secs(1)).await
        });
        assert_eq!(one, other);
        assert!(one < Duration::from_secs(1), "{one:?}");
        let five = woken(Duration::from_secs(5)).await;
        let past = (five - one).as_millis() % 1_000;
        assert_eq!(past, 0, "{one:?} {five:?}");
    }
}
