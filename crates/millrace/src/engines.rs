//! The engines elsewhere that connections lead to: Spark, and clusters of this program.

use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::{EngineElsewhere, RemoteEngines};
use millrace_spark::SparkSettings;
use millrace_spec::problem::Problem;
use millrace_transfer::Connection;
use millrace_transform::ballista::BallistaSettings;

use crate::workspace::Workspace;

/// What leads to an engine, or why it cannot be used.
type Perhaps = Result<EngineElsewhere, Box<Problem>>;

/// The engines of a workspace, read anew each time, since people edit the file while a server is up.
pub(crate) struct Engines {
    workspace: Workspace,
}

impl Engines {
    pub(crate) fn of(workspace: &Workspace) -> Arc<dyn RemoteEngines> {
        Arc::new(Self { workspace: workspace.clone() })
    }

    fn all(&self) -> Result<IndexMap<String, Perhaps>, Box<Problem>> {
        let connections = self.workspace.connections().usable()?.into_iter();
        let engine = |(name, found): (String, Connection)| {
            let read = match SparkSettings::read(&name, &found.settings) {
                Some(read) => {
                    read.map(|settings| EngineElsewhere::SparkSql(millrace_spark::engine(&name, settings)))
                }
                None => BallistaSettings::read(&name, &found.settings)?.map(EngineElsewhere::Cluster),
            };
            Some((name, found.unusable.map_or(read, Err)))
        };
        Ok(connections.filter_map(engine).collect())
    }
}

impl RemoteEngines for Engines {
    fn names(&self) -> Vec<String> {
        // A file that cannot be read is a problem of its own, which `check` tells.
        self.all().map(|all| all.into_keys().collect()).unwrap_or_default()
    }

    fn open(&self, name: &str) -> Perhaps {
        opened(self.all()?, name)
    }
}

fn opened(mut all: IndexMap<String, Perhaps>, name: &str) -> Perhaps {
    all.shift_remove(name).unwrap_or_else(|| {
        let problem = Problem::error("engine-unknown", format!("there is no engine `{name}`"));
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        Err(Box::new(problem.hint(match known.as_slice() {
            [] => format!("in connections.yaml: `{name}: {{spark: {{url: sc://host:15002}}}}` or `{name}: {{ballista: {{url: df://host:50050}}}}`"),
            known => format!("the engines are `local`, `auto` and {}", known.join(", ")),
        })))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_not_there_is_told_with_those_that_are() {
        let problem = opened(IndexMap::new(), "cluster").err().unwrap();
        assert_eq!(
            problem.hints,
            [
                "in connections.yaml: `cluster: {spark: {url: sc://host:15002}}` or `cluster: {ballista: {url: df://host:50050}}`"
            ]
        );
        let one = || {
            let broken =
                Problem::error("secret-missing", "the connection `big` uses `secrets.x`, which is not set");
            IndexMap::from([("big".to_owned(), Err(Box::new(broken)))])
        };
        let problem = opened(one(), "cluster").err().unwrap();
        assert_eq!(problem.hints, ["the engines are `local`, `auto` and big"]);
        assert_eq!(opened(one(), "big").err().unwrap().code, "secret-missing");
    }
}
