//! The servers that connections name.

use std::sync::Arc;

use millrace_contract::RemoteEngine;

use crate::settings::SparkSettings;

/// The server that a connection names. Nothing is sent yet.
#[cfg(feature = "client")]
pub fn engine(name: &str, settings: SparkSettings) -> Arc<dyn RemoteEngine> {
    Arc::new(crate::client::SparkEngine::new(name, settings))
}

/// What stands for the server that a connection names, in a build that cannot ask it.
#[cfg(not(feature = "client"))]
pub fn engine(name: &str, settings: SparkSettings) -> Arc<dyn RemoteEngine> {
    Arc::new(unbuilt::Unbuilt { name: name.to_owned(), settings })
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
