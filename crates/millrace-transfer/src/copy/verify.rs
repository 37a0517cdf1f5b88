//! Whether the sink has what was read.

use std::sync::Arc;

use futures::StreamExt as _;
use millrace_contract::{StepContext, StepOutcome};
use millrace_spec::asset::{Asset, AssetType};
use serde_json::Value;

use super::{Copy, delta};
use crate::address::{Address, sources};
use crate::config::{CopyConfig, Write};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::rejects::{OnError, RejectFile, Rejects};
use crate::source::Outcome;
use crate::types::{ColumnSpec, ColumnType};
use crate::verification::{Checksums, Passing, Verify};

impl Copy {
    /// Compares what was written with what was read.
    pub(super) async fn verify(
        &self,
        to: &Address,
        config: &CopyConfig,
        context: &StepContext,
        (passed, passing): (u64, Option<Passing>),
        written: &StepOutcome,
    ) -> Result<Value, CopyError> {
        let said = |result: &str, why: &str| serde_json::json!({"result": result, "why": why});
        let place = || sources(to).into_iter().next().map_or_else(String::new, |source| source.name);
        if config.verify == Verify::None {
            return Ok(said("NotVerified", "`verify` is `none`"));
        }
        let rows = written.rows.unwrap_or(0);
        if passed == 0 && rows > 0 {
            return Ok(said(
                "NotVerified",
                "the rows were there already: an earlier attempt had loaded them",
            ));
        }
        let Some(passing) = passing else {
            return match config.write {
                _ if rows == passed => {
                    Ok(said("Verified", "as many rows were written as were read and not rejected"))
                }
                Write::Overwrite => {
                    let difference = format!("{passed} rows were read and {rows} written");
                    Err(CopyError::NotVerified { what: place(), difference })
                }
                _ => Ok(said("NotVerified", "the sink tells the rows of the whole table")),
            };
        };
        if config.write != Write::Overwrite {
            return Ok(said("NotVerified", "the sink has other rows too, so its sums say nothing"));
        }
        let to = match (to, written.outputs.get("data").and_then(Asset::from_value)) {
            (Address::Delta { place, .. }, Some(asset)) => delta::of_version(place, asset.delta_version),
            (_, Some(asset)) if asset.kind == AssetType::Table => Address::Table(asset),
            _ => to.clone(),
        };
        // Types that the sink's format does not keep are those of what was written.
        let columns = passing.schema().fields().iter().filter_map(|field| {
            let kind = ColumnType::of(field.data_type())?;
            Some((field.name().clone(), ColumnSpec::Type(kind)))
        });
        let again = Arc::new(CopyConfig::plain(&config.to, columns.collect())?);
        let meter = Arc::new(Meter::new(again.threads()));
        let rejects =
            Rejects::new(OnError::Fail, None, &context.folder.join("verification"), RejectFile::Csv);
        let outcome = Outcome::new(rejects, meter);
        let mut rows = self.open(&to, &again, context, &outcome).await?;
        let mut sums = Checksums::new(passing.schema());
        while let Some(batch) = rows.batches.next().await {
            let batch = batch.map_err(|error| match outcome.take_error() {
                Some(error) => error,
                None => CopyError::read(place(), &error),
            })?;
            sums.add(&batch, passing.schema()).map_err(|error| CopyError::read(place(), &error))?;
        }
        match passing.sums().difference(&sums) {
            Some(difference) => Err(CopyError::NotVerified { what: place(), difference }),
            None => Ok(said("Verified", "read again, it has the same rows, nulls and sums of values")),
        }
    }
}
