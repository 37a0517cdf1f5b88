//! The systems that can be called.

mod airflow;
mod argo;
mod azure_devops;
mod azureml;
mod dagster;
mod data_factory;
mod databricks;
mod github_actions;
mod http;
mod logic_apps;
mod prefect;

use millrace_contract::KindDoc;

use crate::target::{Entry, entry};

/// Every target. A new one: a file in `targets/`, and a line here.
pub(crate) const ALL: &[Entry] = &[
    entry::<airflow::Airflow>(),
    entry::<prefect::Prefect>(),
    entry::<dagster::Dagster>(),
    entry::<azureml::AzureMl>(),
    entry::<data_factory::DataFactory>(),
    entry::<databricks::Databricks>(),
    entry::<logic_apps::LogicApps>(),
    entry::<azure_devops::AzureDevOps>(),
    entry::<github_actions::GitHubActions>(),
    entry::<argo::Argo>(),
    entry::<http::Http>(),
];

/// Pages of all of them, in the order of the manual.
pub fn docs() -> Vec<KindDoc> {
    ALL.iter().map(|entry| (entry.doc)()).collect()
}
