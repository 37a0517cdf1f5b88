//! Failed logins are slowed down: who tries passwords waits longer and longer, and is forgotten after a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Those that are remembered, at most.
const MOST: usize = 10_000;
/// How long a failure counts, milliseconds.
const COUNTS_MS: i64 = 15 * 60 * 1000;

/// Whom failures are counted for.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// One name from one address.
    Pair,
    /// All names from one address, which many people may share.
    Address,
    /// One name from everywhere.
    Name,
}

impl Of {
    const ALL: [Self; 3] = [Self::Pair, Self::Address, Self::Name];

    /// Failures that cost nothing.
    fn free(self) -> u32 {
        match self {
            Self::Pair => 10,
            Self::Address | Self::Name => 100,
        }
    }

    /// The longest wait. Short where others than the one who fails would wait too.
    fn longest(self) -> Duration {
        match self {
            Self::Pair => Duration::from_secs(60),
            Self::Address | Self::Name => Duration::from_secs(5),
        }
    }
}

/// Who tries to log in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knock {
    /// From where, if that is known.
    pub(crate) address: Option<IpAddr>,
    /// When, milliseconds since 1970.
    pub(crate) now_ms: i64,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    newest_ms: i64,
}

/// Counts failures, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    // By digests: names have any length.
    failures: Mutex<HashMap<blake3::Hash, Failures>>,
}

impl Throttle {
    /// How long one has to wait before the next try.
    pub(crate) fn wait(&self, knock: Knock, name: &str) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |of: Of| {
            let found = failures.get(&key(of, knock, name))?;
            let extra =
                found.count.checked_sub(of.free()).filter(|_| knock.now_ms - found.newest_ms < COUNTS_MS)?;
            let whole = Duration::from_secs(1_u64 << extra.min(16)).min(of.longest());
            let passed = u64::try_from(knock.now_ms - found.newest_ms).unwrap_or_default();
            Some(whole.saturating_sub(Duration::from_millis(passed))).filter(|wait| !wait.is_zero())
        };
        Of::ALL.into_iter().filter_map(of).max()
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, knock: Knock, name: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        for of in Of::ALL {
            let key = key(of, knock, name);
            if failures.len() >= MOST && !failures.contains_key(&key) {
                make_room(&mut failures, knock.now_ms);
            }
            let found = failures.entry(key).or_insert(Failures { count: 0, newest_ms: knock.now_ms });
            if knock.now_ms - found.newest_ms >= COUNTS_MS {
                found.count = 0;
            }
            found.count = found.count.saturating_add(1);
            found.newest_ms = knock.now_ms;
        }
    }

    /// Forgets the failures of who has logged in; those of others stay.
    pub(crate) fn succeeded(&self, knock: Knock, name: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&key(Of::Pair, knock, name));
    }
}

/// Forgets what does not count any more; if everything does, a tenth, the oldest first.
fn make_room(failures: &mut HashMap<blake3::Hash, Failures>, now_ms: i64) {
    failures.retain(|_, found| now_ms - found.newest_ms < COUNTS_MS);
    if failures.len() < MOST {
        return;
    }
    let mut times: Vec<i64> = failures.values().map(|found| found.newest_ms).collect();
    times.sort_unstable();
    let cut = times.get(MOST / 10).copied().unwrap_or(i64::MAX);
    failures.retain(|_, found| found.newest_ms > cut);
}

fn key(of: Of, knock: Knock, name: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[of as u8]);
    if !matches!(of, Of::Name) {
        match knock.address {
            // Who has one address of IPv6 has 2⁶⁴ of them.
            Some(IpAddr::V6(address)) => hasher.update(&(u128::from(address) >> 64).to_be_bytes()),
            Some(IpAddr::V4(address)) => hasher.update(&address.octets()),
            None => &mut hasher,
        };
        hasher.update(&[0]);
    }
    if !matches!(of, Of::Address) {
        hasher.update(name.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str, now_ms: i64) -> Knock {
        Knock { address: Some(address.parse().unwrap()), now_ms }
    }

    #[test]
    fn who_fails_waits_twice_as_long_each_time() {
        let throttle = Throttle::default();
        for _ in 0..9 {
            throttle.failed(from("192.0.2.1", 0), "anna");
        }
        assert_eq!(throttle.wait(from("192.0.2.1", 0), "anna"), None);
        let mut waits = Vec::new();
        for _ in 0..8 {
            throttle.failed(from("192.0.2.1", 0), "anna");
            waits.push(throttle.wait(from("192.0.2.1", 0), "anna").unwrap().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(throttle.wait(from("192.0.2.1", 59_500), "anna"), Some(Duration::from_millis(500)));
        assert_eq!(throttle.wait(from("192.0.2.1", 60_000), "anna"), None);
        assert_eq!(throttle.wait(from("192.0.2.2", 0), "anna"), None, "who sits elsewhere");
        assert_eq!(throttle.wait(from("192.0.2.1", 0), "bert"), None, "another name");
        throttle.succeeded(from("192.0.2.1", 61_000), "anna");
        throttle.failed(from("192.0.2.1", 61_000), "anna");
        assert_eq!(throttle.wait(from("192.0.2.1", 61_000), "anna"), None);
    }

    #[test]
    fn many_names_from_one_place_and_many_places_for_one_name_wait_too() {
        let throttle = Throttle::default();
        for number in 0..110 {
            throttle.failed(from("2001:db8::1", 0), &format!("name-{number}"));
            throttle.failed(from(&format!("192.0.2.{number}"), 0), "anna");
        }
        let five = Some(Duration::from_secs(5));
        assert_eq!(throttle.wait(from("2001:db8::2", 0), "somebody"), five, "the same network");
        assert_eq!(throttle.wait(from("198.51.100.9", 0), "anna"), five);
        assert_eq!(throttle.wait(from("198.51.100.9", 0), "bert"), None);
        assert_eq!(throttle.wait(from("198.51.100.9", COUNTS_MS), "anna"), None, "it is long ago");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..20_000_i64 {
            let address = format!("10.{}.{}.1", number / 250, number % 250);
            throttle.failed(from(&address, number), &format!("name-{number}"));
        }
        assert!(throttle.failures.lock().unwrap().len() <= MOST);
        // Whoever goes on failing is not forgotten for it.
        assert!(throttle.failures.lock().unwrap().contains_key(&key(
            Of::Name,
            from("10.0.0.1", 0),
            "name-19999"
        )));
    }
}
