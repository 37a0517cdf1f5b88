//! How many requests, how many failed, how long they took: in memory, bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Latencies that the newest percentiles are taken from.
const RECENT: usize = 1024;
/// Minutes that are kept: six hours.
const MINUTES: usize = 360;
/// Each bin of a minute's histogram is this much wider than the one before.
const BIN_GROWTH: f64 = 1.25;
/// Bins of a minute's histogram, from one microsecond up: the last begins after four minutes.
const BINS: usize = 88;

/// Counts and latencies of one deployment or endpoint.
#[derive(Debug, Default)]
pub(crate) struct Stats(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    requests: u64,
    errors: u64,
    recent: Vec<f32>,
    next: usize,
    minutes: VecDeque<Minute>,
}

#[derive(Debug)]
struct Minute {
    /// Minutes since 1970.
    number: i64,
    requests: u64,
    errors: u64,
    bins: Box<[u32; BINS]>,
}

/// What has been counted since the server began, and the percentiles of the newest requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Of them failed.
    pub errors: u64,
    /// Median latency of the newest 1024 requests, milliseconds; `None` before the first.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

/// Requests of one minute.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficPoint {
    /// Begin of the minute.
    pub at: Timestamp,
    /// Requests.
    pub requests: u64,
    /// Of them failed.
    pub errors: u64,
    /// Median latency, milliseconds, to a quarter of its value.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

impl Stats {
    /// Counts one request.
    pub(crate) fn record(&self, at: Timestamp, took: Duration, failed: bool) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (errors, micros) = (u64::from(failed), took.as_secs_f64() * 1e6);
        kept.requests += 1;
        kept.errors += errors;
        let next = kept.next;
        match kept.recent.get_mut(next) {
            Some(place) => *place = micros as f32,
            None => kept.recent.push(micros as f32),
        }
        kept.next = (next + 1) % RECENT;
        let number = at.as_second().div_euclid(60);
        if kept.minutes.back().is_none_or(|minute| minute.number < number) {
            if kept.minutes.len() == MINUTES {
                kept.minutes.pop_front();
            }
            kept.minutes.push_back(Minute { number, requests: 0, errors: 0, bins: Box::new([0; BINS]) });
        }
        if let Some(minute) = kept.minutes.back_mut() {
            minute.requests += 1;
            minute.errors += errors;
            if let Some(bin) = minute.bins.get_mut(bin(micros)) {
                *bin += 1;
            }
        }
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        let (requests, errors, mut recent) = {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (kept.requests, kept.errors, kept.recent.clone())
        };
        recent.sort_by(f32::total_cmp);
        let quantile = |share: f64| {
            let at = (share * recent.len().saturating_sub(1) as f64).round() as usize;
            recent.get(at).map(|micros| f64::from(*micros) / 1e3)
        };
        Counts { requests, errors, p50_ms: quantile(0.5), p95_ms: quantile(0.95), p99_ms: quantile(0.99) }
    }

    /// The last hours by minute, oldest first; minutes without requests are left out.
    pub(crate) fn history(&self) -> Vec<TrafficPoint> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let point = |minute: &Minute| TrafficPoint {
            at: Timestamp::from_second(minute.number * 60).unwrap_or_default(),
            requests: minute.requests,
            errors: minute.errors,
            p50_ms: bin_quantile(&minute.bins, 0.5),
            p99_ms: bin_quantile(&minute.bins, 0.99),
        };
        kept.minutes.iter().map(point).collect()
    }
}

fn bin(micros: f64) -> usize {
    let at = micros.max(1.0).log(BIN_GROWTH).floor();
    (at as usize).min(BINS - 1)
}

/// The middle of the bin in which the quantile lies, milliseconds.
fn bin_quantile(bins: &[u32; BINS], share: f64) -> Option<f64> {
    let total: u64 = bins.iter().map(|count| u64::from(*count)).sum();
    let wanted = (share * total as f64).ceil().max(1.0);
    let mut seen = 0.0;
    for (at, count) in bins.iter().enumerate() {
        seen += f64::from(*count);
        if seen >= wanted {
            return Some(BIN_GROWTH.powf(at as f64 + 0.5) / 1e3);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_newest_requests_and_minutes_are_bounded() {
        let stats = Stats::default();
        assert_eq!(stats.counts(), Counts::default());
        let minute = |number: i64| Timestamp::from_second(number * 60 + 7).unwrap();
        for _ in 0..RECENT {
            stats.record(minute(0), Duration::from_secs(9), true);
        }
        for micros in 1..=RECENT as u64 {
            stats.record(minute(micros as i64), Duration::from_micros(micros), false);
        }
        let counts = stats.counts();
        assert_eq!((counts.requests, counts.errors), (2 * RECENT as u64, RECENT as u64));
        assert!((counts.p50_ms.unwrap() - 0.513).abs() < 0.002, "{counts:?}");
        assert!((counts.p99_ms.unwrap() - 1.014).abs() < 0.002, "{counts:?}");
        let history = stats.history();
        assert_eq!(history.len(), MINUTES);
        let last = history.last().unwrap();
        assert_eq!(
            (last.at, last.requests, last.errors),
            (Timestamp::from_second(RECENT as i64 * 60).unwrap(), 1, 0)
        );
        let p50 = last.p50_ms.unwrap();
        assert!(p50 > 1.024 / BIN_GROWTH && p50 < 1.024 * BIN_GROWTH, "{p50}");
    }
}
