//! An alert's states: normal → pending → firing → recovering → normal. Pure: a memory and an observation in, a memory and changes out.

use serde::{Deserialize, Serialize};

/// Where an alert stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// All is well.
    #[default]
    Normal,
    /// Violated, but not for long enough.
    Pending,
    /// Violated: somebody was told.
    Firing,
    /// Clean again, but not often enough.
    Recovering,
}

/// When an alert changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertLimits {
    /// Violations wanted …
    pub violations: u32,
    /// … among this many newest observations; at most 64.
    pub of: u32,
    /// Time in violation before it fires, microseconds.
    pub for_us: i64,
    /// Clean observations in a row before it is resolved, at least 1.
    pub resolve_after: u32,
}

/// What is remembered between observations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMemory {
    /// The state.
    pub state: AlertState,
    /// In it since; microseconds since 1970.
    pub since: i64,
    /// The newest observations, a bit each, the newest lowest; 1 is a violation.
    pub recent: u64,
    /// Clean observations in a row.
    pub clean: u32,
    /// Time of the newest observation taken in.
    pub observed_at: Option<i64>,
}

/// One legal move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertChange {
    /// Left.
    pub from: AlertState,
    /// Entered.
    pub to: AlertState,
}

impl AlertMemory {
    /// Takes in an observation (`true` is a violation), or only the time if there is none. An observation not newer than the last one
    /// is taken as none, so repeating it changes nothing.
    pub fn advance(
        &mut self,
        limits: AlertLimits,
        observation: Option<(bool, i64)>,
        now: i64,
    ) -> Vec<AlertChange> {
        let fresh = observation.filter(|(_, at)| self.observed_at.is_none_or(|seen| *at > seen));
        if let Some((violated, at)) = fresh {
            self.recent = (self.recent << 1) | u64::from(violated);
            self.clean = if violated { 0 } else { self.clean.saturating_add(1) };
            self.observed_at = Some(at);
        }
        let mut changes = Vec::new();
        while let Some(to) = self.next(limits, fresh.is_some(), now) {
            changes.push(AlertChange { from: self.state, to });
            self.state = to;
            self.since = now;
        }
        changes
    }

    fn next(&self, limits: AlertLimits, fresh: bool, now: i64) -> Option<AlertState> {
        let mask = if limits.of >= 64 { u64::MAX } else { (1_u64 << limits.of) - 1 };
        let violated = (self.recent & mask).count_ones() >= limits.violations.max(1);
        match self.state {
            AlertState::Normal if violated && fresh => Some(AlertState::Pending),
            AlertState::Pending if !violated => Some(AlertState::Normal),
            AlertState::Pending if now.saturating_sub(self.since) >= limits.for_us => {
                Some(AlertState::Firing)
            }
            AlertState::Firing if !violated => Some(AlertState::Recovering),
            AlertState::Recovering if violated => Some(AlertState::Firing),
            AlertState::Recovering if self.clean >= limits.resolve_after.max(1) => Some(AlertState::Normal),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: AlertLimits = AlertLimits { violations: 1, of: 1, for_us: 0, resolve_after: 2 };

    #[test]
    fn it_fires_at_once_and_resolves_after_two() {
        let mut memory = AlertMemory::default();
        let mut seen = Vec::new();
        for (at, violated) in [(1, false), (2, true), (3, false), (4, true), (5, false), (6, false)] {
            for change in memory.advance(LIMITS, Some((violated, at)), at) {
                seen.push(format!("{at} {:?}", change.to));
            }
        }
        insta::assert_snapshot!(seen.join(", "), @"2 Pending, 2 Firing, 3 Recovering, 4 Firing, 5 Recovering, 6 Normal");
    }

    #[test]
    fn it_waits_for_its_time() {
        let limits = AlertLimits { for_us: 10, ..LIMITS };
        let mut memory = AlertMemory::default();
        memory.advance(limits, Some((true, 1)), 1);
        assert!(memory.advance(limits, None, 10).is_empty());
        memory.advance(limits, None, 11);
        assert_eq!(memory.state, AlertState::Firing);
    }

    proptest! {
        #[test]
        fn only_legal_moves_and_no_repeat_counts(
            steps in prop::collection::vec((any::<bool>(), 0_i64..5, any::<bool>()), 0..60),
            violations in 1_u32..4, extra in 0_u32..3, for_us in 0_i64..8, resolve_after in 0_u32..4,
        ) {
            let limits = AlertLimits { violations, of: violations + extra, for_us, resolve_after };
            let mut memory = AlertMemory::default();
            let (mut now, mut told) = (0, false);
            for (violated, passed, observed) in steps {
                now += passed;
                for change in memory.advance(limits, observed.then_some((violated, now)), now) {
                    use AlertState::{Firing, Normal, Pending, Recovering};
                    let legal = matches!((change.from, change.to), (Normal, Pending) | (Pending, Normal | Firing) | (Firing, Recovering) | (Recovering, Firing | Normal));
                    prop_assert!(legal, "{change:?}");
                    if (change.from, change.to) == (Recovering, Normal) {
                        prop_assert!(told, "resolved without having fired");
                    }
                    told |= change.to == Firing;
                }
                let before = memory.clone();
                prop_assert!(memory.advance(limits, observed.then_some((violated, now)), now).is_empty());
                prop_assert_eq!(&before, &memory);
            }
        }
    }
}
