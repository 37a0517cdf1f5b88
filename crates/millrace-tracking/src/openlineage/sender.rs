//! Tells the receivers of `lineage.yaml` what runs do, from the notes of their changes: at least once, in the order of a run, never in its way.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::{self, FuturesUnordered};
use millrace_contract::{Clock, SecretSource, beat};
use millrace_metastore::lineage_out::{LineageChange, Settled};
use millrace_metastore::{Metastore, MetastoreError};
use millrace_spec::problem::Problem;
use millrace_spec::{expression, secret};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::code::CodePlace;
use super::delivery::{Undelivered, client, deliver};
use super::event::EventMaker;
use super::facts::RunFacts;
use super::file::{Destination, LineageFile, Receiver};
use super::names::SourceIdentity;

/// Pause between two looks for changes, and while there is nobody to tell.
const PAUSE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(5);
/// Longest time for what is left to tell after a run without a server.
const LAST: Duration = Duration::from_secs(3);
/// Microseconds that a server has the changes it took for itself, and those after which it begins none of them any more.
const TAKEN: i64 = 30_000_000;
const BUSY: i64 = 18_000_000;
/// Changes that one round takes, and those that are told at once.
const ROUND: u32 = 100;
const AT_ONCE: usize = 8;
/// Events not taken, one after the other, after which a receiver is left alone for a while.
const MOST_REFUSALS: u32 = 3;
/// Longest pause before another try, microseconds.
const LONGEST: i64 = 300_000_000;
/// Microseconds that something waits for a receiver, at most.
const KEPT: i64 = 7 * 24 * 3600 * 1_000_000;
/// Microseconds between two looks for what has waited too long.
const SWEEP: i64 = 3600 * 1_000_000;

/// What the sender asks of the workspace, anew each time: people edit its files while a server is up.
pub trait LineageSource: Send + Sync {
    /// What `lineage.yaml` says, its secrets not in place.
    ///
    /// # Errors
    /// What is wrong with it.
    fn file(&self) -> Result<LineageFile, Box<Problem>>;

    /// The workspace's name among systems, if the file gives none.
    fn own_namespace(&self) -> String;

    /// Where a source is that a `copy` names.
    fn sources(&self) -> SourceIdentity;

    /// Where the definitions are kept: the git repository around the workspace.
    fn code(&self) -> Option<CodePlace>;

    /// The folder that files of receivers are relative to.
    fn root(&self) -> PathBuf;

    /// Where people reach the server; empty if nobody knows.
    fn base_url(&self) -> String;
}

/// Sends events.
#[derive(Clone)]
pub struct Sender {
    store: Metastore,
    clock: Arc<dyn Clock>,
    source: Arc<dyn LineageSource>,
    secrets: Arc<dyn SecretSource>,
    client: reqwest::Client,
    /// Receivers that are left alone for a while.
    pauses: Arc<Mutex<HashMap<String, Pause>>>,
    /// What was last said to be wrong, of a receiver or (without a name) of the file, so that it is said once.
    complaints: Arc<Mutex<HashMap<String, String>>>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

/// How long a receiver is left alone.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    rounds: u32,
    until: i64,
}

/// One receiver's round.
struct Round {
    destination: Result<Destination, String>,
    namespace: String,
    sources: SourceIdentity,
    code: Option<CodePlace>,
    base_url: String,
    still_running: i64,
    /// Begins nothing after it.
    until: i64,
    /// Events not taken since the last one that was.
    refusals: AtomicU32,
    /// Why the last of them was not.
    error: Mutex<String>,
}

impl Round {
    fn is_over(&self, now: i64) -> bool {
        self.is_away() || now >= self.until
    }

    fn is_away(&self) -> bool {
        self.refusals.load(Ordering::Relaxed) >= MOST_REFUSALS
    }

    fn taken(&self) {
        self.refusals.store(0, Ordering::Relaxed);
    }

    fn not_taken(&self, why: &Undelivered) {
        let count = if matches!(why, Undelivered::Away(_)) { MOST_REFUSALS } else { 1 };
        self.refusals.fetch_add(count, Ordering::Relaxed);
        why.reason().clone_into(&mut self.error.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Sender {
    /// Changes come from `store`, receivers from `source`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(
        store: Metastore,
        clock: Arc<dyn Clock>,
        source: Arc<dyn LineageSource>,
        secrets: Arc<dyn SecretSource>,
    ) -> Result<Self, reqwest::Error> {
        let (pauses, complaints) = (Arc::default(), Arc::default());
        Ok(Self { store, clock, source, secrets, client: client()?, pauses, complaints })
    }

    /// Looks who is to be told: from now on changes are noted for them. A file that cannot be read changes nothing.
    pub fn look(&self) -> LineageFile {
        match self.source.file() {
            Ok(file) => {
                self.complain("", "");
                self.store.note_lineage_for(file.receivers.keys().cloned().collect());
                file
            }
            Err(problem) => {
                self.complain("", &problem.message);
                LineageFile::default()
            }
        }
    }

    /// Tells everybody, each receiver at its own pace, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let mut busy = HashSet::new();
        let mut at_work = FuturesUnordered::new();
        let (mut next_sweep, mut next_note) = (0, 0);
        loop {
            let file = self.look();
            if self.now() >= next_note {
                next_note = self.now() + file.still_running_micros();
                self.note_running(&file).await;
            }
            let due = self.due(&file).await;
            for name in due {
                if busy.insert(name.clone()) {
                    at_work.push(self.clone().work(file.clone(), name));
                }
            }
            if self.now() >= next_sweep {
                next_sweep = self.now() + SWEEP;
                self.forget().await;
            }
            let pause = if file.receivers.is_empty() { IDLE } else { PAUSE };
            tokio::select! {
                () = stop.cancelled() => return,
                Some(name) = at_work.next(), if !at_work.is_empty() => {
                    busy.remove(&name);
                }
                () = beat(pause) => {}
            }
        }
    }

    /// Tells what is left to tell after a run without a server, for a moment: what could not be told in it, the next one tells.
    pub async fn tell_rest(&self) {
        let file = self.look();
        let rounds = async {
            loop {
                let due = self.due(&file).await;
                if due.is_empty() {
                    return;
                }
                join_all(due.into_iter().map(|name| self.clone().work(file.clone(), name))).await;
            }
        };
        let _ = tokio::time::timeout(LAST, rounds).await;
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Receivers that there is something for, and that are not left alone.
    async fn due(&self, file: &LineageFile) -> Vec<String> {
        if file.receivers.is_empty() {
            return Vec::new();
        }
        let now = self.now();
        let due = self.store.due_lineage_receivers(now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read what others are to be told of runs");
            HashSet::new()
        });
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |name: &&String| pauses.get(*name).is_some_and(|pause| pause.until > now);
        file.receivers.keys().filter(|name| due.contains(*name) && !waits(name)).cloned().collect()
    }

    /// A round for a receiver; gives its name back.
    async fn work(self, file: LineageFile, name: String) -> String {
        let Some(receiver) = file.receivers.get(&name) else { return name };
        let still_running = file.still_running_micros();
        let namespace = file.namespace.clone().unwrap_or_else(|| self.source.own_namespace());
        let outcome = self.round(&name, receiver, (namespace, still_running)).await;
        let failed = outcome.unwrap_or_else(|error| Some(format!("the database failed: {error}")));
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        match failed {
            Some(error) => {
                let pause = pauses.entry(name.clone()).or_default();
                pause.until = self.now() + backoff(i64::from(pause.rounds));
                pause.rounds += 1;
                self.complain(&name, &error);
            }
            None => {
                pauses.remove(&name);
                self.complain(&name, "");
            }
        }
        drop(pauses);
        name
    }

    /// Tells a receiver of what changed; gives why it is to be left alone.
    async fn round(
        &self,
        name: &str,
        receiver: &Receiver,
        (namespace, still_running): (String, i64),
    ) -> Result<Option<String>, MetastoreError> {
        let now = self.now();
        let changes = self.store.take_lineage_changes(name.to_owned(), (now, now + TAKEN), ROUND).await?;
        if changes.is_empty() {
            return Ok(None);
        }
        let round = Round {
            destination: self.destination(name, receiver),
            namespace,
            sources: self.source.sources(),
            code: self.source.code(),
            base_url: self.source.base_url(),
            still_running,
            until: now + BUSY,
            refusals: AtomicU32::new(0),
            error: Mutex::default(),
        };
        let told = stream::iter(changes).map(|change| self.tell(change, &round)).buffer_unordered(AT_ONCE);
        let outcomes: Vec<Result<(), MetastoreError>> = told.collect().await;
        outcomes.into_iter().collect::<Result<(), _>>()?;
        let is_away = round.is_away();
        Ok(is_away.then(|| round.error.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Says what is wrong, once.
    fn complain(&self, receiver: &str, text: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let last = complaints.entry(receiver.to_owned()).or_default();
        if last != text {
            match (receiver, text) {
                (_, "") => tracing::info!(receiver, "lineage.yaml: it works again"),
                ("", text) => tracing::warn!("lineage.yaml: {text}"),
                (receiver, text) => {
                    tracing::warn!("lineage.yaml: the receiver `{receiver}` cannot be told: {text}")
                }
            }
            text.clone_into(last);
        }
    }

    /// Where a receiver is, its secrets in place.
    fn destination(&self, name: &str, receiver: &Receiver) -> Result<Destination, String> {
        let secrets = self.secrets.secrets();
        let user = format!("the receiver `{name}`");
        let written = json!(receiver);
        if let Some(problem) = secrets.refusal(&user, &written) {
            return Err(problem.message);
        }
        let resolved =
            expression::render(&written, &json!({"secrets": secrets.to_value()})).map_err(|error| {
                secret::missing(&user, &error).map_or_else(|| error.to_string(), |problem| problem.message)
            })?;
        let receiver: Receiver = serde_json::from_value(resolved).map_err(|error| error.to_string())?;
        receiver.destination()
    }

    /// Tells a receiver what it does not know yet of a run.
    async fn tell(&self, change: LineageChange, round: &Round) -> Result<(), MetastoreError> {
        let later = |told: Vec<String>| {
            let settled = Settled::Later { now: self.now() };
            self.store.settle_lineage_change(change.clone(), told, settled)
        };
        if round.is_over(self.now()) {
            return later(Vec::new()).await;
        }
        let Some(facts) = RunFacts::read(&self.store, &change.run_id).await? else {
            let settled = Settled::Everything { over: true, now: self.now() };
            return self.store.settle_lineage_change(change, Vec::new(), settled).await;
        };
        let known = self.store.lineage_told(change.receiver.clone(), change.run_id.clone()).await?;
        let maker = EventMaker {
            namespace: &round.namespace,
            facts: &facts,
            sources: &round.sources,
            code: round.code.as_ref(),
            base_url: &round.base_url,
            still_running: round.still_running,
        };
        let mut told = Vec::new();
        for event in maker.all(self.now()).into_iter().filter(|event| !known.contains(&event.id)) {
            if round.is_over(self.now()) {
                return later(told).await;
            }
            let sent = match &round.destination {
                Ok(destination) => deliver(&self.client, self.source.root(), destination, &event.body).await,
                Err(error) => Err(Undelivered::Away(error.clone())),
            };
            if let Err(why) = sent {
                round.not_taken(&why);
                let at = self.now() + backoff(change.attempts);
                let settled = Settled::Again { at, error: why.reason().to_owned() };
                return self.store.settle_lineage_change(change, told, settled).await;
            }
            round.taken();
            told.push(event.id);
        }
        let settled = Settled::Everything { over: facts.run.ended_at.is_some(), now: self.now() };
        self.store.settle_lineage_change(change, told, settled).await
    }

    /// Notes the runs that go on and have not changed for a while: they are told again.
    async fn note_running(&self, file: &LineageFile) {
        let (receivers, now) = (file.receivers.keys().cloned().collect(), self.now());
        let since = now - file.still_running_micros();
        if let Err(error) = self.store.note_running_lineage(receivers, since, now).await {
            tracing::warn!(%error, "cannot look for runs that go on, of which others are to hear");
        }
    }

    /// Gives up what has waited for a week.
    async fn forget(&self) {
        match self.store.forget_lineage(self.now() - KEPT).await {
            Ok(0) => {}
            Ok(runs) => tracing::warn!(
                runs,
                "a receiver of lineage was away for a week: it will not hear of these runs"
            ),
            Err(error) => {
                tracing::warn!(%error, "cannot look for what waits too long for a receiver of lineage")
            }
        }
    }
}

/// Pause before another try, microseconds.
fn backoff(attempts: i64) -> i64 {
    1_000_000_i64.saturating_mul(1 << attempts.clamp(0, 20)).min(LONGEST)
}
