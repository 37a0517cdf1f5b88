//! A pipeline as it was read: steps, their order, triggers. A run stores this value, so it keeps the definition it began with.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{PipelineName, StepId};
use crate::mapping::Mapping;
use crate::notice::{Deadline, RunNotices};
use crate::problem::Place;
use crate::triggers::Trigger;

/// One pipeline file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// The `pipeline:` key; the file's stem if absent.
    pub name: PipelineName,
    /// One sentence for listings.
    #[serde(default)]
    pub description: Option<String>,
    /// Inputs with their type and default.
    #[serde(default)]
    pub inputs: IndexMap<String, InputSpec>,
    /// What a run leaves for who started it: name to value, `${{ }}` unresolved.
    #[serde(default)]
    pub outputs: IndexMap<String, Value>,
    /// At most `limit` runs per key at once.
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
    /// Among steps that wait for room, those of a higher priority begin first.
    #[serde(default)]
    pub priority: i64,
    /// By when a run is to be over.
    #[serde(default)]
    pub deadline: Option<Box<Deadline>>,
    /// Who is told when a run is over.
    #[serde(default)]
    pub notify: Option<Box<RunNotices>>,
    /// What starts it, beside a person.
    #[serde(default)]
    pub triggers: IndexMap<String, Trigger>,
    /// The steps, in the file's order.
    pub steps: IndexMap<StepId, Step>,
    /// Steps that run after all others whatever became of them.
    #[serde(default)]
    pub finally: IndexMap<StepId, Step>,
    /// Path of the file, relative to the workspace.
    pub file: String,
}

impl Pipeline {
    /// What a run of it is made of: everything but what starts it. A pipeline may have a hundred schedules, and each of its runs is stored.
    #[must_use]
    pub fn without_triggers(&self) -> Self {
        Self {
            name: self.name.clone(),
            description: self.description.clone(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            concurrency: self.concurrency.clone(),
            priority: self.priority,
            deadline: self.deadline.clone(),
            notify: self.notify.clone(),
            triggers: IndexMap::new(),
            steps: self.steps.clone(),
            finally: self.finally.clone(),
            file: self.file.clone(),
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its key in `steps:`.
    pub id: StepId,
    /// The key that names the kind: `copy`, `sql`, `python`, …
    pub kind: String,
    /// What stands under that key, `${{ }}` unresolved.
    pub config: Value,
    /// `inputs:`, `${{ }}` unresolved.
    #[serde(default)]
    pub inputs: IndexMap<String, Value>,
    /// `outputs:` declared by `run` and `python` steps: name to type.
    #[serde(default)]
    pub outputs: IndexMap<String, String>,
    /// `needs:` as written plus the steps that its expressions name, without repeats.
    #[serde(default)]
    pub needs: Vec<StepId>,
    /// `if:`, a bare expression. `None` means: all needs succeeded.
    #[serde(default, rename = "if")]
    pub condition: Option<String>,
    /// `foreach:` or `matrix:`: the step is done for each item.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// How often and how fast to try again.
    #[serde(default)]
    pub retry: Retry,
    /// Longest time one attempt may take, milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Whether an earlier result may stand in.
    #[serde(default)]
    pub cache: CachePolicy,
    /// Locked packages for `python` steps: a path relative to the workspace.
    #[serde(default)]
    pub environment: Option<String>,
    /// Extra variables for command steps, `${{ }}` unresolved.
    #[serde(default)]
    pub env: IndexMap<String, Value>,
    /// Slots it takes from named pools while it runs.
    #[serde(default)]
    pub pool: IndexMap<String, u32>,
    /// Where it stands.
    pub place: Place,
}

/// An input of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// `string`, `integer`, `number`, `boolean`, `date`, `datetime`, `duration`, `json`, `list[T]`, or an asset type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Value when the caller gives none; without it the input is required.
    #[serde(default)]
    pub default: Option<Value>,
    /// Allowed values.
    #[serde(default, rename = "enum")]
    pub allowed: Option<Vec<Value>>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

/// At most `limit` runs with the same key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Concurrency {
    /// Expression over `inputs`; the pipeline's name if absent.
    #[serde(default)]
    pub key: Option<String>,
    /// Runs at once, at least 1.
    pub limit: u32,
    /// What becomes of one more.
    #[serde(default)]
    pub on_limit: OnLimit,
}

/// What becomes of a run that finds no room under its concurrency key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// It waits, oldest first.
    #[default]
    Queue,
    /// It takes the place of the oldest: that one is cancelled.
    CancelRunning,
    /// It ends at once as cancelled.
    Skip,
}

/// `retry:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Further attempts after the first; 0 means none.
    pub max: u32,
    /// Wait before the first of them, milliseconds.
    pub delay_ms: u64,
    /// Each wait is the one before times this.
    pub backoff: f64,
    /// Longest wait, milliseconds.
    #[serde(default = "a_day")]
    pub max_delay_ms: u64,
    /// Share of a wait by which it is made longer or shorter, 0 to 1, so that many steps do not try again at one instant.
    #[serde(default)]
    pub jitter: f64,
    /// Only failures that fit one of these; any failure if empty.
    #[serde(default)]
    pub errors: Vec<RetryOn>,
    /// `if:`, a bare expression over `error` and `attempt`; true if absent.
    #[serde(default, rename = "if")]
    pub condition: Option<String>,
}

fn a_day() -> u64 {
    86_400_000
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max: 0,
            delay_ms: 1_000,
            backoff: 2.0,
            max_delay_ms: a_day(),
            jitter: 0.0,
            errors: Vec::new(),
            condition: None,
        }
    }
}

/// A failure after which a step is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// One that may pass, such as a lost connection.
    Transient,
    /// The attempt ran into its timeout.
    Timeout,
    /// The program ended with this exit code; 128 and a signal's number if one ended it.
    Exit(i32),
    /// A problem of this code.
    Code(String),
}

impl RetryOn {
    /// Reads `transient`, `timeout`, `exit:137` and codes of problems such as `copy-type-mismatch`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "transient" => Some(Self::Transient),
            "timeout" => Some(Self::Timeout),
            _ => match text.strip_prefix("exit:") {
                Some(code) => code.trim().parse().ok().map(Self::Exit),
                None => {
                    let is_code = text.contains('-')
                        && text
                            .chars()
                            .all(|sign| sign.is_ascii_lowercase() || sign == '-' || sign.is_ascii_digit());
                    is_code.then(|| Self::Code(text.to_owned()))
                }
            },
        }
    }
}

/// `cache:`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CachePolicy {
    /// Reuse if the kind is deterministic and every input has a digest.
    #[default]
    Auto,
    /// Always run.
    Never,
    /// As `Auto`, but only results younger than this many milliseconds.
    Within {
        /// Age limit, milliseconds.
        ttl_ms: u64,
    },
}
