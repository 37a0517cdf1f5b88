//! Copies out of systems that give rows.

use std::sync::Arc;

use millrace_contract::{BatchStream, StepContext};

use super::{Copy, staging};
use crate::address::Address;
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::origin::{self, Asking};
use crate::source::Outcome;

impl Copy {
    pub(super) async fn read_origin(
        &self,
        (connection, stream): (&str, &str),
        config: &Arc<CopyConfig>,
        context: &StepContext,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let settings = self.connection(connection)?;
        let origin = origin::open(connection, &settings, &self.services.workspace)?;
        let label = format!("{connection}:{stream}");
        let (config, outcome, folder) = (config.clone(), outcome.clone(), staging(context));
        origin.read(Asking { stream, label, config, context, folder, outcome }).await
    }

    /// Whether a source is there and has what the step asks for, as far as it is known without asking anybody.
    pub(super) fn check_source(&self, from: &Address, config: &CopyConfig) -> Result<(), CopyError> {
        let Address::Origin { connection, stream } = from else {
            return match &config.request {
                Some(_) => Err(CopyError::config("`request` is for web APIs", "from: \"api:orders\"")),
                None => self.check_server(from),
            };
        };
        let connections = self.connections()?;
        match connections.get(connection) {
            Some(found) if found.unusable.is_none() => {
                origin::open(connection, &found.settings, &self.services.workspace)?.check(stream, config)
            }
            // What is wrong there is said once, at that file.
            _ => Ok(()),
        }
    }
}
