//! The servers that connections name.

use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Field, Schema};
use millrace_contract::{RemoteEngine, RemoteError, RemoteQuery};

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

/// Which version of Spark answers.
///
/// # Errors
/// If the server cannot be reached, or refuses who asks.
pub async fn version(name: &str, settings: SparkSettings) -> Result<String, RemoteError> {
    #[cfg(feature = "client")]
    listens(name, &settings.url).await?;
    let schema = Arc::new(Schema::new(vec![Field::new("version", DataType::Utf8, true)]));
    let sql = "select version() as version".to_owned();
    let query = RemoteQuery { views: Vec::new(), options: Vec::new(), sql, schema };
    let rows = engine(name, settings).query(query).await?.collect().await;
    let rows =
        rows.map_err(|error| RemoteError::Refused { engine: name.to_owned(), message: error.to_string() })?;
    let version = rows.iter().find_map(|batch| {
        let column = batch.columns().first()?.as_string_opt::<i32>()?;
        column.iter().next().flatten().map(str::to_owned)
    });
    Ok(version.unwrap_or_default())
}

/// Spark's client tries again for a quarter of a minute where nobody listens; who asks whether a server is there wants to know at once.
#[cfg(feature = "client")]
async fn listens(name: &str, url: &str) -> Result<(), RemoteError> {
    const PORT: u16 = 15002;
    let address = url.trim_start_matches("sc://").split(['/', ';']).next().unwrap_or_default();
    let has_port = address.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let address = if has_port { address.to_owned() } else { format!("{address}:{PORT}") };
    let answered = tokio::net::TcpStream::connect(&address).await;
    answered.map(|_| ()).map_err(|error| RemoteError::Unreachable {
        engine: name.to_owned(),
        address: url.to_owned(),
        message: error.to_string(),
    })
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
