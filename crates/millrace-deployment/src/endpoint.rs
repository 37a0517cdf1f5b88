//! An endpoint as it is served: what is behind it now, and what it has counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use jiff::Timestamp;
use millrace_contract::LoadedModel;
use millrace_spec::problem::Problem;
use millrace_spec::suggest::nearest;
use serde_json::{Map, Value};

use crate::file::{EndpointFile, EndpointSpec};
use crate::stats::Stats;

/// A model in memory that has scored a row.
pub(crate) struct Served {
    pub(crate) model: Arc<dyn LoadedModel>,
    /// A row that it takes.
    pub(crate) example: Map<String, Value>,
}

/// A model version: what is served, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelTarget {
    /// Registered name, or the URI of a model without one.
    pub model: String,
    /// Its version; 0 for a model without a name.
    pub version: u64,
    /// Folder, an absolute URL.
    pub uri: String,
    /// Digest of the folder.
    pub digest: String,
}

impl ModelTarget {
    /// `name@version`, or the URI.
    pub(crate) fn label(&self) -> String {
        if self.version == 0 { self.model.clone() } else { format!("{}@{}", self.model, self.version) }
    }
}

/// Where a deployment is in its life.
#[derive(Clone)]
pub(crate) enum State {
    Loading,
    Ready(Arc<Served>),
    Failed,
}

/// A model version behind an endpoint, with its share of traffic.
#[derive(Clone)]
pub(crate) struct Deployment {
    pub(crate) name: String,
    pub(crate) target: ModelTarget,
    pub(crate) traffic: u32,
    pub(crate) sample: f64,
    pub(crate) state: State,
    /// Why it failed, or why it still serves what it served before.
    pub(crate) reason: Option<String>,
    /// The model that did not load, whether or not another one is served in its place.
    pub(crate) refused: Option<ModelTarget>,
    pub(crate) updated_at: Timestamp,
    pub(crate) stats: Arc<Stats>,
}

impl Deployment {
    pub(crate) fn served(&self) -> Option<&Arc<Served>> {
        match &self.state {
            State::Ready(served) => Some(served),
            State::Loading | State::Failed => None,
        }
    }
}

/// What outlives the changes of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) in_flight: AtomicU32,
    pub(crate) refused: AtomicU64,
    picked: AtomicU64,
    sampled: AtomicU64,
    pub(crate) stats: Stats,
}

/// A stable address and what is behind it. Never changed, only replaced.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) spec: EndpointSpec,
    pub(crate) file: Option<Arc<EndpointFile>>,
    pub(crate) deployments: Vec<Arc<Deployment>>,
    pub(crate) counters: Arc<Counters>,
}

/// A request's place among those that are worked on; given back when dropped.
pub(crate) struct Slot(Arc<Counters>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Endpoint {
    pub(crate) fn deployment(&self, name: &str) -> Option<&Arc<Deployment>> {
        self.deployments.iter().find(|deployment| deployment.name == name)
    }

    /// Takes a place, unless all are taken.
    ///
    /// # Errors
    /// `endpoint-overloaded`.
    pub(crate) fn admit(&self) -> Result<Slot, Problem> {
        let before = self.counters.in_flight.fetch_add(1, Ordering::AcqRel);
        let slot = Slot(self.counters.clone());
        if before < self.spec.max_concurrent {
            return Ok(slot);
        }
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        let message = format!(
            "the endpoint `{}` works on {} requests already",
            self.spec.endpoint, self.spec.max_concurrent
        );
        Err(Problem::error("endpoint-overloaded", message)
            .hint("try again in a second, or raise `max_concurrent`"))
    }

    /// The deployment named by the request, or one by the shares of traffic among those that are ready.
    ///
    /// # Errors
    /// `unknown-deployment`, `endpoint-not-ready`.
    pub(crate) fn pick(&self, named: Option<&str>) -> Result<(&Arc<Deployment>, &Arc<Served>), Problem> {
        if let Some(name) = named {
            let deployment = self.deployment(name).ok_or_else(|| self.unknown_deployment(name))?;
            return deployment
                .served()
                .map(|served| (deployment, served))
                .ok_or_else(|| not_ready(deployment));
        }
        let ready = || {
            let with_traffic = self.deployments.iter().filter(|deployment| deployment.traffic > 0);
            with_traffic.filter_map(|deployment| Some((deployment, deployment.served()?)))
        };
        let total: u64 = ready().map(|(deployment, _)| u64::from(deployment.traffic)).sum();
        let mut ticket = spread(&self.counters.picked, total);
        for (deployment, served) in ready() {
            match ticket.checked_sub(u64::from(deployment.traffic)) {
                Some(rest) => ticket = rest,
                None => return Ok((deployment, served)),
            }
        }
        Err(match self.deployments.iter().find(|deployment| deployment.traffic > 0) {
            Some(deployment) => not_ready(deployment),
            None => Problem::error(
                "endpoint-not-ready",
                format!("no deployment of the endpoint `{}` has a share of its traffic", self.spec.endpoint),
            ),
        })
    }

    /// Whether this request is one of those that are logged.
    pub(crate) fn is_logged(&self, deployment: &Deployment) -> bool {
        const PARTS: u64 = 1_000_000;
        deployment.sample > 0.0
            && (spread(&self.counters.sampled, PARTS) as f64) < deployment.sample * PARTS as f64
    }

    fn unknown_deployment(&self, name: &str) -> Problem {
        let known: Vec<&str> = self.deployments.iter().map(|deployment| deployment.name.as_str()).collect();
        let message = format!("the endpoint `{}` has no deployment `{name}`", self.spec.endpoint);
        let problem = Problem::error("unknown-deployment", message);
        match nearest(name, &known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("its deployments are {}", known.join(", "))),
        }
    }
}

fn not_ready(deployment: &Deployment) -> Problem {
    let problem = Problem::error(
        "endpoint-not-ready",
        match deployment.state {
            State::Loading => format!("the deployment `{}` is being loaded", deployment.name),
            _ => format!("the deployment `{}` failed", deployment.name),
        },
    );
    match &deployment.reason {
        Some(reason) => problem.note(reason.clone()),
        None => problem.hint("try again in a second"),
    }
}

/// The next number below `parts`: multiples of the golden ratio, which fall evenly, so that shares are kept without chance.
fn spread(counter: &AtomicU64, parts: u64) -> u64 {
    let turn = counter.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((u128::from(turn) * u128::from(parts)) >> 64) as u64
}

/// Shares of the others when one takes `traffic` of 100, in proportion to those they had.
///
/// # Errors
/// If nothing is there to take the rest.
pub(crate) fn other_shares(others: &[(String, u32)], traffic: u32) -> Result<Vec<(String, u32)>, Problem> {
    let total: u32 = others.iter().map(|(_, share)| share).sum();
    let rest = 100_u32.saturating_sub(traffic);
    if total == 0 {
        if traffic != 0 && traffic != 100 {
            let message = format!("nothing would take the other {rest} per cent of the traffic");
            return Err(Problem::error("traffic", message).hint("traffic: 100"));
        }
        return Ok(others.to_vec());
    }
    let mut shares: Vec<(String, u32)> =
        others.iter().map(|(name, share)| (name.clone(), share * rest / total)).collect();
    let mut left = rest - shares.iter().map(|(_, share)| share).sum::<u32>();
    let mut order: Vec<usize> =
        (0..shares.len()).filter(|at| others.get(*at).is_some_and(|(_, s)| *s > 0)).collect();
    order.sort_by_key(|at| std::cmp::Reverse(others.get(*at).map_or(0, |(_, share)| share * rest % total)));
    for at in order {
        if left == 0 {
            break;
        }
        if let Some((_, share)) = shares.get_mut(at) {
            *share += 1;
            left -= 1;
        }
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_tickets_fall_evenly() {
        let others = |shares: &[u32]| -> Vec<(String, u32)> {
            shares.iter().enumerate().map(|(at, share)| (at.to_string(), *share)).collect()
        };
        let after = |shares: &[u32], traffic| {
            other_shares(&others(shares), traffic)
                .map(|shares| shares.iter().map(|(_, s)| *s).collect::<Vec<_>>())
        };
        assert_eq!(after(&[100], 10), Ok(vec![90]));
        assert_eq!(after(&[33, 33, 34], 50), Ok(vec![17, 16, 17]));
        assert_eq!(after(&[50, 50, 0], 100), Ok(vec![0, 0, 0]));
        assert_eq!(after(&[], 100), Ok(vec![]));
        assert_eq!(after(&[0], 0), Ok(vec![0]));
        assert!(after(&[0], 30).is_err());
        let counter = AtomicU64::new(0);
        let low = (0..1000).filter(|_| spread(&counter, 100) < 10).count();
        assert!((99..=101).contains(&low), "{low}");
    }
}
