//! The servers that connections name.

use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::{RemoteEngine, RemoteEngines};
use millrace_spec::problem::Problem;

use crate::settings::SparkSettings;

/// Reads the connections to Spark, each usable or with the reason why not; anew each time, since people edit them while a server is up.
pub type ReadSparks = Arc<
    dyn Fn() -> Result<IndexMap<String, Result<SparkSettings, Box<Problem>>>, Box<Problem>> + Send + Sync,
>;

/// Every `spark` connection as an engine.
#[derive(Clone)]
pub struct SparkEngines {
    read: ReadSparks,
}

impl std::fmt::Debug for SparkEngines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SparkEngines")
    }
}

impl SparkEngines {
    /// Asks `read` whenever an engine is named.
    pub fn new(read: ReadSparks) -> Self {
        Self { read }
    }
}

impl RemoteEngines for SparkEngines {
    fn names(&self) -> Vec<String> {
        // A file that cannot be read is a problem of its own, which `check` tells.
        (self.read)().map(|all| all.keys().cloned().collect()).unwrap_or_default()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn RemoteEngine>, Box<Problem>> {
        let mut all = (self.read)()?;
        let Some(found) = all.shift_remove(name) else {
            let problem = Problem::error("engine-unknown", format!("there is no engine `{name}`"));
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(Box::new(problem.hint(match known.as_slice() {
                [] => format!("in connections.yaml: `{name}: {{spark: {{url: sc://host:15002}}}}`"),
                known => format!("the engines are `local`, `auto` and {}", known.join(", ")),
            })));
        };
        engine(name, found?)
    }
}

#[cfg(feature = "client")]
fn engine(name: &str, settings: SparkSettings) -> Result<Arc<dyn RemoteEngine>, Box<Problem>> {
    Ok(Arc::new(crate::client::SparkEngine::new(name, settings)))
}

#[cfg(not(feature = "client"))]
fn engine(name: &str, settings: SparkSettings) -> Result<Arc<dyn RemoteEngine>, Box<Problem>> {
    Ok(Arc::new(unbuilt::Unbuilt { name: name.to_owned(), settings }))
}

/// What stands for a server in a build that cannot ask it: `auto` still needs to know when it would.
#[cfg(not(feature = "client"))]
mod unbuilt {
    use async_trait::async_trait;
    use millrace_contract::{BatchStream, RemoteEngine, RemoteError, RemoteQuery};

    use crate::settings::SparkSettings;

    pub(super) struct Unbuilt {
        pub(super) name: String,
        pub(super) settings: SparkSettings,
    }

    #[async_trait]
    impl RemoteEngine for Unbuilt {
        fn name(&self) -> &str {
            &self.name
        }

        fn auto_above(&self) -> Option<u64> {
            self.settings.auto_above()
        }

        async fn query(&self, _: RemoteQuery) -> Result<BatchStream, RemoteError> {
            let message =
                "this build has no client for Spark; make one with `cargo build --release --features spark`";
            Err(RemoteError::Refused { engine: self.name.clone(), message: message.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_not_there_is_told_with_those_that_are() {
        let none = SparkEngines::new(Arc::new(|| Ok(IndexMap::new())));
        let problem = none.open("cluster").err().unwrap();
        assert_eq!(problem.hints, ["in connections.yaml: `cluster: {spark: {url: sc://host:15002}}`"]);
        let one = SparkEngines::new(Arc::new(|| {
            let broken =
                Problem::error("secret-missing", "the connection `big` uses `secrets.x`, which is not set");
            Ok(IndexMap::from([("big".to_owned(), Err(Box::new(broken)))]))
        }));
        assert_eq!(one.open("cluster").err().unwrap().hints, ["the engines are `local`, `auto` and big"]);
        assert_eq!(one.open("big").err().unwrap().code, "secret-missing");
        assert_eq!(one.names(), ["big"]);
    }
}
