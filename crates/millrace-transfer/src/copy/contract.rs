//! The contract of a step with its sink: what the sink's columns are, and what is told of the differences.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema};
use millrace_contract::{BatchStream, StepContext, StepOutcome};

use super::Copy;
use super::existing::Existing;
use crate::address::Address;
use crate::config::{CopyConfig, Write};
use crate::database::own_columns;
use crate::error::CopyError;
use crate::shape::{Contract, Difference, Held, Sink, held};
use crate::source::Outcome;

/// What the source's columns are, seen from the sink; it grows while rows pass.
pub(crate) type Told = Arc<Mutex<Difference>>;

impl Copy {
    /// Lets what the contract allows pass. A sink that is not there yet has nothing to say.
    pub(super) async fn hold(
        &self,
        rows: BatchStream,
        contract: Contract,
        to: &Address,
        config: &Arc<CopyConfig>,
        outcome: &Outcome,
    ) -> Result<(BatchStream, Told), CopyError> {
        match self.sink(to, config, outcome).await? {
            Some(sink) => {
                let Held { rows, difference } = held(rows, &sink, contract, outcome)?;
                Ok((rows, difference))
            }
            None => Ok((rows, Told::default())),
        }
    }

    async fn sink(
        &self,
        to: &Address,
        config: &CopyConfig,
        outcome: &Outcome,
    ) -> Result<Option<Sink>, CopyError> {
        let Some(existing) = self.existing(to, outcome).await? else { return Ok(None) };
        let overwritten = config.write == Write::Overwrite;
        // What the write itself keeps is none of the source's.
        let own = own_columns(&config.write);
        let schema = existing.schema().await?;
        let fields = schema.fields().iter().filter(|field| !own.contains(&field.name().as_str()));
        // What rows do is not the sink's.
        let op = config.write.op_column().map(|op| Arc::new(Field::new(op, DataType::Utf8, true)));
        let schema = Arc::new(Schema::new(fields.cloned().chain(op).collect::<Vec<_>>()));
        let label = existing.label();
        Ok(Some(match existing {
            // No table of Delta has two names that differ in their case alone.
            Existing::Dataset { .. } => {
                Sink { schema, ignores_case: true, whole: true, widens: overwritten, label }
            }
            Existing::Database { dialect, .. } => Sink {
                schema,
                ignores_case: dialect.ignores_case(),
                whole: overwritten,
                widens: overwritten || dialect.changes_types(),
                label,
            },
        }))
    }
}

/// Files are written anew each time.
pub(super) fn no_contract() -> CopyError {
    CopyError::config(
        "`schema` compares with the columns that are there; a file has none that stay",
        "copy to `data:name` or `connection:table`, or leave `schema` out",
    )
}

/// Columns of the sink that get the types of the rows.
pub(super) fn widened(told: &Told) -> Vec<String> {
    told.lock().unwrap_or_else(PoisonError::into_inner).widened.keys().cloned().collect()
}

/// Puts the differences among the outputs, and into the log.
pub(super) fn tell(told: &Told, result: &mut StepOutcome, context: &StepContext) -> Result<(), CopyError> {
    let difference = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let value = serde_json::to_value(&difference);
    let value = value.map_err(|error| CopyError::write("the schema's changes", &error))?;
    result.outputs.insert("schema_changes".to_owned(), value);
    for line in difference.lines() {
        context.log.line(&line);
    }
    Ok(())
}
