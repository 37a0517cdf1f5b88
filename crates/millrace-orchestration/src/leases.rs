//! Several servers on one database: each keeps a lease, and the runs of one whose lease is over, or that is known to be gone, go on with
//! another one.
//!
//! A server that has lost its lease (it was stopped, or cut off from the database for longer) begins anew under another epoch; what its
//! old tasks want to store is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use millrace_metastore::servers::{NewServer, ServerRow, TakeOver};
use millrace_spec::ids::StepKey;
use tokio_util::sync::CancellationToken;

use crate::attempt::attempt_folder;
use crate::engine::Shared;
use crate::error::{OrchestrationError, chain};
use crate::events::RunEventKind;
use crate::state::{RunSnapshot, RunState, StepState};
use crate::{recovery, run_task};

/// Beats in a lease, so that a lost one does no harm.
const BEATS: u32 = 5;
/// In each state folder: where its server answers.
pub const ADDRESS_FILE: &str = "server.url";
/// Runs of other servers whose pages are told to look again with each beat, at most.
const SHOWN_OF_OTHERS: usize = 200;

/// Enters this server, goes on with what others have left, and keeps the lease from now on.
pub(crate) async fn begin(shared: &Arc<Shared>) -> Result<(), OrchestrationError> {
    enter(shared).await?;
    take_what_is_left(shared).await?;
    shared.tasks.spawn(keep(shared.clone()));
    Ok(())
}

/// Lets the others go on with what is open here.
pub(crate) async fn end(shared: &Shared) {
    if let Err(error) = shared.store.end_server(shared.epoch()).await {
        tracing::warn!(error = %chain(&error), "the lease is not ended; other servers wait until it is over");
    }
}

async fn enter(shared: &Arc<Shared>) -> Result<(), OrchestrationError> {
    let place = &shared.settings.server;
    let server = NewServer {
        host: place.host.clone(),
        pid: place.process.0,
        started_ticks: place.process.1,
        state_id: place.state_id.clone(),
        state_folder: shared.settings.state_folder.to_string_lossy().into_owned(),
        now: shared.now(),
        lease: lease(shared),
    };
    let entered = shared.store.begin_server(server).await;
    let epoch = entered.map_err(OrchestrationError::store("enter this server into the database"))?;
    shared.epoch.store(epoch, Ordering::Release);
    shared.begin_tenure();
    Ok(())
}

fn lease(shared: &Shared) -> i64 {
    i64::try_from(shared.settings.server.lease.as_micros()).unwrap_or(i64::MAX)
}

async fn keep(shared: Arc<Shared>) {
    let pause = shared.settings.server.lease / BEATS;
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once, and everything has just been done.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.stop.cancelled() => return,
        }
        if let Err(error) = beat(&shared).await {
            tracing::error!(error = %chain(&error), "the lease is not renewed");
        }
    }
}

async fn beat(shared: &Arc<Shared>) -> Result<(), OrchestrationError> {
    let store = &shared.store;
    let failed = OrchestrationError::store;
    if !store.renew_server(shared.epoch(), lease(shared)).await.map_err(failed("renew the lease"))? {
        tracing::error!(
            "another server has taken over the runs of this one, which was not heard of; it begins anew"
        );
        enter(shared).await?;
    }
    take_what_is_left(shared).await?;
    let wishes = store.wishes_for_runs(shared.epoch()).await;
    let wishes = wishes.map_err(failed("read which runs are to be cancelled or paused"))?;
    for run in shared.paused_runs() {
        if !wishes.iter().any(|wish| wish.run == run && wish.pause) {
            shared.tell_pause(&run, false);
        }
    }
    for wish in wishes {
        if wish.cancel {
            shared.cancel_token(&wish.run).cancel();
        }
        if wish.pause {
            shared.tell_pause(&wish.run, true);
        }
    }
    Ok(())
}

/// Takes over the runs of servers that are gone.
async fn take_what_is_left(shared: &Arc<Shared>) -> Result<(), OrchestrationError> {
    let store = &shared.store;
    let failed = OrchestrationError::store;
    let servers = store.list_servers().await.map_err(failed("list the servers"))?;
    shared.set_neighbours(neighbours(shared, &servers));
    let owners =
        store.other_owners(shared.epoch()).await.map_err(failed("look for runs of other servers"))?;
    let mut others_run = false;
    for owner in owners {
        let server = servers.iter().find(|server| server.epoch == owner);
        let Some(when) = may_take_over(shared, server) else {
            others_run = true;
            continue;
        };
        let taken = store.take_over_runs(owner, shared.epoch(), when).await;
        let left_in =
            server.filter(|server| is_here(shared, server)).map(|server| PathBuf::from(&server.state_folder));
        let taken = taken.map_err(failed("take over the runs of another server"))?;
        if !taken.is_empty()
            && server.is_some_and(|server| server.state_id != shared.settings.server.state_id)
        {
            tracing::warn!(
                runs = taken.len(),
                server = owner,
                "the runs of a server that is gone go on here"
            );
        }
        if let Some(left_in) = left_in.as_deref().filter(|_| !taken.is_empty()) {
            announce(shared, left_in).await;
        }
        for id in taken {
            match recovery::load(shared, &id, left_in.as_deref()).await {
                Ok(loaded) => run_task::spawn(shared, loaded),
                // One unreadable run must not keep the others from going on.
                Err(error) => tracing::error!(run = %id, error = %chain(&error), "a run cannot be resumed"),
            }
        }
    }
    if others_run {
        tell_of_others(shared).await?;
    }
    Ok(())
}

/// Tells the commands of a server that is gone where to log from now on: they look into its state folder.
async fn announce(shared: &Shared, left_in: &Path) {
    let own = shared.settings.state_folder.join(ADDRESS_FILE);
    let staged = left_in.join(format!("{ADDRESS_FILE}.{}", shared.epoch()));
    let there = left_in.join(ADDRESS_FILE);
    if own == there {
        return;
    }
    let told = async {
        tokio::fs::copy(&own, &staged).await?;
        tokio::fs::rename(&staged, &there).await
    };
    if let Err(error) = told.await {
        tracing::warn!(%error, folder = %left_in.display(), "commands that were taken over do not know where to log");
    }
}

/// Ends the commands of a run that goes on elsewhere. A server on the same machine has taken them as they are.
pub(crate) async fn let_go(shared: &Shared, run: &RunSnapshot) {
    let owner = shared.store.owner_of_run(run.id.clone()).await.ok().flatten();
    let servers = shared.store.list_servers().await.unwrap_or_default();
    let is_owner = |server: &&ServerRow| Some(server.epoch) == owner;
    if servers.iter().find(is_owner).is_none_or(|server| is_here(shared, server)) {
        return;
    }
    let mut running: Vec<(StepKey, u32)> = Vec::new();
    for (id, step) in &run.steps {
        match &step.items {
            Some(items) => {
                let items = items.iter().filter(|(_, item)| item.state == StepState::Running);
                running.extend(items.map(|(number, item)| (StepKey::item(id.clone(), number), item.attempt)));
            }
            None if step.state == StepState::Running => running.push((id.clone().into(), step.attempt)),
            None => {}
        }
    }
    for (key, attempt) in running {
        let folder = attempt_folder(&shared.settings.state_folder, &run.id, &key, attempt);
        if let Ok(Some(handle)) = shared.services.compute.find(&folder).await
            && let Err(error) = shared.services.compute.cancel(&handle).await
        {
            tracing::warn!(run = %run.id, step = %key, %error, "a command that was taken over goes on");
        }
    }
}

/// Whether this server is the oldest of those that are there: it does what only one of them may.
pub(crate) async fn is_first(shared: &Shared) -> Result<bool, OrchestrationError> {
    let servers = shared.store.list_servers().await.map_err(OrchestrationError::store("list the servers"))?;
    let epoch = shared.epoch();
    let mut older = servers.iter().filter(|server| server.epoch < epoch);
    Ok(older.all(|server| may_take_over(shared, Some(server)).is_some()))
}

/// When the runs of a server may be taken; `None` while it is there.
fn may_take_over(shared: &Shared, server: Option<&ServerRow>) -> Option<TakeOver> {
    // Its row is gone, long after it.
    let Some(server) = server else { return Some(TakeOver::ProcessIsGone) };
    let here = &shared.settings.server;
    // Its state folder is locked by this server, or its process is seen to be gone.
    let gone = server.state_id == here.state_id
        || is_here(shared, server) && !(here.is_running)(server.pid, server.started_ticks);
    if gone {
        return Some(TakeOver::ProcessIsGone);
    }
    (!server.alive).then_some(TakeOver::IfExpired)
}

/// Whether a server is, or was, on this machine.
fn is_here(shared: &Shared, server: &ServerRow) -> bool {
    server.host == shared.settings.server.host
}

/// Where other servers on this machine keep the files of their runs.
fn neighbours(shared: &Shared, servers: &[ServerRow]) -> Vec<PathBuf> {
    let other =
        |server: &&ServerRow| is_here(shared, server) && server.state_id != shared.settings.server.state_id;
    let mut folders: Vec<PathBuf> =
        servers.iter().filter(other).map(|server| PathBuf::from(&server.state_folder)).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Lets pages that show runs of other servers look again: their events do not come here.
async fn tell_of_others(shared: &Shared) -> Result<(), OrchestrationError> {
    let open = shared.store.open_runs_of_others(shared.epoch(), SHOWN_OF_OTHERS).await;
    for (id, pipeline, state) in open.map_err(OrchestrationError::store("read the runs of other servers"))? {
        if let Some(state) = RunState::parse(&state) {
            shared.publish(&id, &pipeline, RunEventKind::RunChanged { state: state.as_str() });
        }
    }
    Ok(())
}

/// Ends with the lease under which it was made.
pub(crate) type Tenure = CancellationToken;
