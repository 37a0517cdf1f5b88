//! Who is asked and when it is decided: plain data, and the questions that it answers by itself.

use indexmap::IndexMap;
use millrace_spec::access::{Approver, OnTimeout, Quorum};
use millrace_spec::pipeline::InputSpec;
use serde::{Deserialize, Serialize};

/// Who is asked and how it is decided, as it is stored with an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Who may decide.
    pub by: Vec<Approver>,
    /// How many must say yes.
    #[serde(default)]
    pub min: Quorum,
    /// Whether who started the run may say yes.
    #[serde(default)]
    pub own: bool,
    /// Longest time, milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// What happens then.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// What the people who are asked should know.
    #[serde(default)]
    pub message: String,
    /// Channels that are told.
    #[serde(default)]
    pub notify: Vec<String>,
    /// What they fill in.
    #[serde(default)]
    pub form: IndexMap<String, InputSpec>,
}

impl ApprovalRule {
    /// How many must say yes.
    pub fn needed(&self) -> usize {
        match self.min {
            Quorum::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Quorum::Each(_) => self.by.len(),
        }
    }

    /// How many of those are there; `yes`: of each who said so, the approvers they were one of.
    pub fn given(&self, yes: &[Vec<Approver>]) -> usize {
        match self.min {
            Quorum::Count(_) => {
                yes.iter().filter(|standing| standing.iter().any(|of| self.by.contains(of))).count()
            }
            Quorum::Each(_) => self.covered(yes),
        }
    }

    /// Whether enough people said yes. `escalated`: whether the deadline has passed once.
    pub fn is_met(&self, escalated: bool, yes: &[Vec<Approver>]) -> bool {
        let by_others = match &self.on_timeout {
            OnTimeout::Escalate(other) if escalated => yes.iter().any(|standing| standing.contains(other)),
            _ => false,
        };
        by_others || self.given(yes) >= self.needed()
    }

    /// Everybody who may decide now.
    pub fn asked(&self, escalated: bool) -> Vec<Approver> {
        let mut asked = self.by.clone();
        if let OnTimeout::Escalate(other) = &self.on_timeout
            && escalated
            && !asked.contains(other)
        {
            asked.push(other.clone());
        }
        asked
    }

    /// Who is asked, for people.
    pub fn asked_words(&self, escalated: bool) -> String {
        let words: Vec<String> = self.asked(escalated).iter().map(ToString::to_string).collect();
        words.join(", ")
    }

    /// The largest number of entries of `by` that can be given a person of their own (augmenting paths in a bipartite graph).
    fn covered(&self, yes: &[Vec<Approver>]) -> usize {
        let mut entry_of: Vec<Option<usize>> = vec![None; yes.len()];
        (0..self.by.len())
            .filter(|entry| self.place(*entry, yes, &mut entry_of, &mut vec![false; yes.len()]))
            .count()
    }

    /// Finds a person for an entry, moving others to another entry of theirs if it must.
    fn place(
        &self,
        entry: usize,
        yes: &[Vec<Approver>],
        entry_of: &mut [Option<usize>],
        tried: &mut [bool],
    ) -> bool {
        let Some(approver) = self.by.get(entry) else { return false };
        for (person, standing) in yes.iter().enumerate() {
            if !standing.contains(approver) || std::mem::replace(&mut tried[person], true) {
                continue;
            }
            let before = entry_of[person];
            if before.is_none_or(|other| self.place(other, yes, entry_of, tried)) {
                entry_of[person] = Some(entry);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use millrace_spec::access::EachWord;

    use super::*;

    fn approver(text: &str) -> Approver {
        text.parse().unwrap()
    }

    fn rule(by: &[&str], min: Quorum) -> ApprovalRule {
        ApprovalRule {
            by: by.iter().map(|text| approver(text)).collect(),
            min,
            own: false,
            timeout_ms: None,
            on_timeout: OnTimeout::Escalate(approver("role:head")),
            message: String::new(),
            notify: Vec::new(),
            form: IndexMap::new(),
        }
    }

    fn people(standings: &[&[&str]]) -> Vec<Vec<Approver>> {
        standings.iter().map(|of| of.iter().map(|text| approver(text)).collect()).collect()
    }

    #[test]
    fn each_entry_wants_a_person_of_its_own() {
        let each = rule(&["role:owner", "role:risk"], Quorum::Each(EachWord::Each));
        let both: &[&str] = &["role:owner", "role:risk"];
        assert!(!each.is_met(false, &people(&[both])), "one person in both roles is one person");
        assert!(!each.is_met(false, &people(&[&["role:owner"], &["role:owner"]])));
        // The first takes `owner` at first and must move to `risk` for the second.
        assert!(each.is_met(false, &people(&[both, &["role:owner"]])));
        assert!(each.is_met(false, &people(&[&["role:risk"], both])));
    }

    #[test]
    fn a_count_takes_anybody_who_is_asked() {
        let two = rule(&["role:owner", "user:anna"], Quorum::Count(2));
        assert!(!two.is_met(false, &people(&[&["role:owner", "user:anna"]])));
        assert!(two.is_met(false, &people(&[&["role:owner"], &["role:owner"]])));
        assert!(!two.is_met(false, &people(&[&["role:owner"], &["role:head"]])));
        assert!(!two.is_met(false, &people(&[&["role:head"]])), "nobody has asked the head yet");
        assert!(two.is_met(true, &people(&[&["role:head"]])));
    }
}
