//! Takes over who is told of changes in the registry.

use millrace_metastore::MetastoreError;
use millrace_metastore::registry::{RegistryRefusal, WebhookRow};

use super::Import;
use crate::ImportError;
use crate::digest::Totals;
use crate::record::{Found, Webhook};

impl Import<'_> {
    /// Whose secret is not known is here disabled: its receiver would refuse what is not signed.
    pub(super) async fn webhooks(&mut self) -> Result<(), ImportError> {
        let Found { records, broken } = self.source.webhooks().await?;
        self.report.broken.extend(broken);
        let mut done = 0;
        for Webhook { mut row, is_whole, unknown } in records {
            if !unknown.is_empty() {
                let events = unknown.join(", ");
                self.report.left_out.push(format!(
                    "what the webhook `{}` is told of that is no event here: {events}",
                    row.name
                ));
            }
            if row.events.is_empty() {
                continue;
            }
            let was_active = row.active;
            row.active &= is_whole;
            let here = if self.options.dry_run { None } else { self.store_webhook(&row).await? };
            let is_active = here.as_ref().map_or(row.active, |here| here.active);
            if was_active && !is_active {
                self.report.disabled.push(row.name.clone());
            }
            let totals = here.as_ref().map(Totals::webhook);
            self.compare(|| format!("webhook {}", row.name), &Totals::webhook(&row), totals.as_ref());
            done += 1;
        }
        if done > 0 {
            self.progress.at("webhooks", done);
        }
        Ok(())
    }

    /// Stores a webhook, if it is new, and gives what is here.
    async fn store_webhook(&mut self, row: &WebhookRow) -> Result<Option<WebhookRow>, ImportError> {
        let store = &self.target.store;
        self.report.new += u64::from(store.import_webhook(row.clone()).await?);
        match store.find_webhook(row.id.clone()).await {
            Ok(here) => Ok(Some(here)),
            // Somebody deleted it in this moment.
            Err(MetastoreError::Registry(RegistryRefusal::NoWebhook { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
