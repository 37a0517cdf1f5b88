//! Answers that wait for a run to be over.

use std::time::Duration;

use millrace_orchestration::OrchestrationError;
use millrace_spec::duration::parse_ms;
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::ApiError;

/// Longest time that an answer waits: below the minute or two after which proxies and this server give up on one.
const LONGEST: Duration = Duration::from_secs(100);
/// How often the run's row is read meanwhile: another server on the same database may be the one that runs it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// How long the answer may wait for the end of the run, such as `60s`; at most 100 s.
    wait: Option<String>,
}

impl WaitQuery {
    /// # Errors
    /// If it is no duration.
    pub(crate) fn duration(&self) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.wait.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        match parse_ms(text) {
            Some(ms) => Ok(Some(Duration::from_millis(ms).min(LONGEST))),
            None => Err(Problem::error("invalid-query", format!("`wait` is a duration, not `{text}`"))
                .hint("a number and a unit: `wait=60s`")
                .into()),
        }
    }
}

/// Whether the run is over within the time. A server that stops does not wait.
pub(crate) async fn until_over(app: &App, id: &str, wait: Duration) -> Result<bool, OrchestrationError> {
    let over = async {
        loop {
            if let Ok(ended) = tokio::time::timeout(LOOK_AGAIN, app.engine.wait(id)).await {
                return ended.map(|_| true);
            }
        }
    };
    tokio::select! {
        ended = over => ended,
        () = tokio::time::sleep(wait) => Ok(false),
        () = app.stop.cancelled() => Ok(false),
    }
}
