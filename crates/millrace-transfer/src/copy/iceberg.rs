//! Copies from Iceberg tables.

use std::sync::Arc;

use millrace_contract::{BatchStream, StepContext, TableMoment};

use super::{Copy, staging};
use crate::address::Address;
use crate::config::{Condition, CopyConfig};
use crate::connections::connection_to;
use crate::error::CopyError;
use crate::iceberg::{Plan, Root, Table};
use crate::source::Outcome;
use crate::store::unless_cancelled;

impl Copy {
    pub(super) async fn read_iceberg(
        &self,
        (place, moment): (&str, &TableMoment),
        config: &Arc<CopyConfig>,
        context: &StepContext,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let root = match place.contains("://") {
            false => Root::local(&self.services.workspace, place),
            true => {
                let (connection, path) = connection_to(place, &self.connections()?)?;
                Root::stored((self.store(&connection)?, &path), place, staging(context), context)
            }
        };
        let planned = async { Table::open(root).await?.plan(moment.clone()).await };
        let mut plan = unless_cancelled(context, planned).await?;
        if let Some(condition) = &config.condition {
            self.without_others(&mut plan, condition, context).await?;
        }
        plan.rows(config, outcome.clone())
    }

    /// Leaves out files in which the condition holds for no row. What is wrong with the condition is said where its rows are chosen.
    async fn without_others(
        &self,
        plan: &mut Plan,
        condition: &Condition,
        context: &StepContext,
    ) -> Result<(), CopyError> {
        let (text, params) = match condition {
            Condition::Text(text) => (text, [].as_slice()),
            Condition::Bound { text, params } => (text, params.as_slice()),
        };
        let facts = plan.facts()?;
        if let Ok(kept) = self.services.engine.may_hold(text, params, &facts).await {
            let (all, left) = (kept.len(), kept.iter().filter(|kept| !**kept).count());
            if left > 0 {
                context.log.line(&format!("{left} of {all} files have no row that `where` wants"));
            }
            plan.keep(&kept);
        }
        Ok(())
    }

    /// Whether a connection leads to the table of an address.
    pub(super) fn check_iceberg(&self, address: &Address) -> Result<(), CopyError> {
        match address {
            Address::Iceberg { place, .. } if place.contains("://") => {
                connection_to(place, &self.connections()?).map(drop)
            }
            _ => Ok(()),
        }
    }
}
