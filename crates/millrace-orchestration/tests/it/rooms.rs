//! Two kinds of step: a gate, whose attempts work until the test ends them, and a door, whose attempts
//! only wait until the test opens it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    KindDoc, KindFamily, Look, OutputDoc, StepContext, StepError, StepKind, StepOutcome, StepTraits,
};
use millrace_orchestration::{EngineSettings, PoolSize, ServerPlace, StepRegistry};
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde_json::Value;
use tokio::sync::oneshot;

/// Run and step, with its item.
pub(crate) type Key = (String, String);

/// What works and waits now.
#[derive(Default)]
pub(crate) struct Board(Mutex<BoardState>);

#[derive(Default)]
struct BoardState {
    /// Attempts at a gate, with their number, and what ends each: `true` as a success.
    working: BTreeMap<(Key, u32), oneshot::Sender<bool>>,
    /// Doors that are open.
    open: BTreeSet<Key>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, BoardState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each as often as attempts of it work.
    pub(crate) fn working(&self) -> Vec<Key> {
        self.state().working.keys().map(|(key, _)| key.clone()).collect()
    }

    /// Ends the attempt of a step that works; `false` if none does.
    pub(crate) fn end(&self, key: &Key, success: bool) -> bool {
        let mut state = self.state();
        let attempt = state.working.keys().find(|(working, _)| working == key).cloned();
        attempt
            .and_then(|attempt| state.working.remove(&attempt))
            .is_some_and(|end| end.send(success).is_ok())
    }

    pub(crate) fn open(&self, key: &Key) {
        self.state().open.insert(key.clone());
    }

    pub(crate) fn is_open(&self, key: &Key) -> bool {
        self.state().open.contains(key)
    }
}

/// Leaves the gate however its attempt ends, also with its process.
struct AtGate<'a> {
    board: &'a Board,
    attempt: (Key, u32),
}

impl Drop for AtGate<'_> {
    fn drop(&mut self) {
        self.board.state().working.remove(&self.attempt);
    }
}

#[derive(JsonSchema)]
struct Nothing {}

struct Gate {
    doc: KindDoc,
    board: Arc<Board>,
}

struct Door {
    doc: KindDoc,
    board: Arc<Board>,
}

fn key(context: &StepContext) -> Key {
    (context.run_id.clone(), context.step.clone())
}

#[async_trait]
impl StepKind for Gate {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }
    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }
    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        Vec::new()
    }
    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        let (end, ended) = oneshot::channel();
        let attempt = (key(&context), context.attempt);
        self.board.state().working.insert(attempt.clone(), end);
        let _at_gate = AtGate { board: &self.board, attempt };
        tokio::select! {
            success = ended => match success {
                Ok(true) => Ok(StepOutcome::default()),
                _ => Err(StepError::permanent(Problem::error("gate", "the test said so"))),
            },
            () = context.cancel.cancelled() => Err(StepError::cancelled()),
        }
    }
}

#[async_trait]
impl StepKind for Door {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }
    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: false, version: 1 }
    }
    fn outputs(&self, _: &Value, _: &IndexMap<String, String>) -> Vec<OutputDoc> {
        Vec::new()
    }
    fn waits(&self, _: &Value) -> bool {
        true
    }
    async fn look(&self, context: &StepContext, _: &Value) -> Result<Look, StepError> {
        if self.board.is_open(&key(context)) {
            return Ok(Look::Done(StepOutcome::default()));
        }
        Ok(Look::Waiting { reason: "for the door".to_owned(), look_again: Duration::from_millis(20) })
    }
    async fn run(&self, _: StepContext) -> Result<StepOutcome, StepError> {
        Err(StepError::permanent(Problem::error("door", "a door does not work")))
    }
}

pub(crate) fn kinds(board: &Arc<Board>) -> StepRegistry {
    let doc = |word| KindDoc::of::<Nothing>(KindFamily::Step, word, "");
    let gate: Arc<dyn StepKind> = Arc::new(Gate { doc: doc("gate"), board: board.clone() });
    let door: Arc<dyn StepKind> = Arc::new(Door { doc: doc("door"), board: board.clone() });
    [("gate", gate), ("door", door)].into_iter().collect()
}

pub(crate) fn settings(folder: &Path, max_running: u32) -> EngineSettings {
    EngineSettings {
        workspace: folder.to_path_buf(),
        state_folder: folder.join("state"),
        max_running,
        pools: [("pool".to_owned(), PoolSize { slots: 1, rate: None })].into_iter().collect(),
        timezone: "UTC".to_owned(),
        server: ServerPlace {
            host: "here".to_owned(),
            is_running: |_, _| false,
            state_id: folder.to_string_lossy().into_owned(),
            process: (1, 1),
            lease: std::time::Duration::from_secs(60),
        },
    }
}
