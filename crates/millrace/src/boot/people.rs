//! What asks and tells people: approvals, the rules of environments, channels.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use millrace_contract::{Clock, DatasetCatalog, ModelRegistry, Notifier};
use millrace_metastore::Metastore;
use millrace_monitoring::notifications::{BaseUrl, ChannelSource, Notifications};
use millrace_orchestration::approvals::Approvals;
use millrace_orchestration::environments::EnvironmentRules;
use tokio::sync::Notify;

use crate::declared::{access, channels, environments};
use crate::secrets::SecretStore;
use crate::workspace::Workspace;

/// The workspace's own facts, read without the kinds, which are only being made.
fn bare_workspace(root: &Path, state: &Path, secrets: &Arc<SecretStore>) -> Result<Workspace> {
    Ok(Workspace::open(root.to_path_buf(), state.to_path_buf(), Arc::default(), secrets.clone())?)
}

/// The channels as their file is now.
pub(super) fn channel_source(root: &Path) -> ChannelSource {
    let root = root.to_path_buf();
    Arc::new(move || channels(&root).usable())
}

/// Tells people; its links begin as people reach the server.
pub(super) fn notifier(
    root: &Path,
    state: &Path,
    (store, clock, wake): (&Metastore, &Arc<dyn Clock>, &Arc<Notify>),
    channels: ChannelSource,
    secrets: &Arc<SecretStore>,
) -> Result<Arc<dyn Notifier>> {
    let base = address(&bare_workspace(root, state, secrets)?);
    Ok(Arc::new(Notifications::new(store.clone(), clock.clone(), channels, base, wake.clone())))
}

/// Where people reach the server: what the workspace says, since a server that listens everywhere does not know what people call it.
pub(super) fn address(workspace: &Workspace) -> BaseUrl {
    let (url, file) = (workspace.url.clone(), workspace.server_file());
    Arc::new(move || match &url {
        Some(url) => url.clone(),
        None => fs_err::read_to_string(&file).unwrap_or_default(),
    })
}

/// What people decide, and the rules of environments.
pub(super) fn decisions(
    root: &Path,
    state: &Path,
    (store, clock): (&Metastore, &Arc<dyn Clock>),
    (datasets, models): (&Arc<dyn DatasetCatalog>, &Arc<dyn ModelRegistry>),
    notifier: Arc<dyn Notifier>,
    secrets: &Arc<SecretStore>,
) -> Result<(Approvals, EnvironmentRules)> {
    let zone = bare_workspace(root, state, secrets)?.timezone;
    let whole = root.to_path_buf();
    let people = Arc::new(move || access(&whole).usable());
    let catalogs = (datasets.clone(), models.clone());
    let approvals = Approvals::new(store.clone(), clock.clone(), catalogs, people, notifier);
    let (whole, own_zone, asked) = (root.to_path_buf(), zone.clone(), approvals.clone());
    let written = Arc::new(move || {
        // A file of groups and roles that is wrong is its own problem: here nobody is in any of them.
        let known = asked.known_access().unwrap_or_default();
        environments(&whole, &known, &own_zone).usable()
    });
    let rules = EnvironmentRules::new(store.clone(), clock.clone(), approvals.clone(), written, zone);
    Ok((approvals, rules))
}
