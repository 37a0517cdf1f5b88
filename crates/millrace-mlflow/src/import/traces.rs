//! Takes over traces, with what was attached to their spans.

use std::collections::HashMap;

use millrace_metastore::traces::ImportedTrace;
use millrace_tracking::traces::{ATTACHMENT_SCHEME, ATTACHMENTS, trace_files};

use super::{Import, is_plain};
use crate::ImportError;
use crate::digest::Totals;
use crate::files::Files;
use crate::record::{Found, Trace};
use crate::target::Target;

impl Import<'_> {
    pub(super) async fn traces(&mut self) -> Result<(), ImportError> {
        let mut done = 0;
        while let Some(Found { records, broken }) = self.source.next_traces().await? {
            self.report.broken.extend(broken);
            let mut traces: Vec<Trace> = Vec::with_capacity(records.len());
            for mut trace in records {
                let row = &mut trace.trace.trace.row;
                if let Some(number) = self.number(row.experiment_id, &format!("trace {}", row.id)) {
                    row.experiment_id = number;
                    traces.push(trace);
                }
            }
            done += traces.len() as u64;
            let ids: Vec<String> = traces.iter().map(|one| one.trace.trace.row.id.clone()).collect();
            let mut here = HashMap::new();
            if !self.options.dry_run {
                for trace in &traces {
                    self.take_attachments(trace).await?;
                }
                let rows: Vec<ImportedTrace> = traces.iter().map(|one| one.trace.clone()).collect();
                self.report.new += self.target.store.import_traces(rows).await? as u64;
                here = whole_traces(self.target, ids).await?;
            }
            for Trace { trace, .. } in traces {
                let id = &trace.trace.row.id;
                let ours = here.get(id).map(Totals::trace);
                self.compare(|| format!("trace {id}"), &Totals::trace(&trace), ours.as_ref());
            }
            self.progress.at("traces", done);
        }
        Ok(())
    }

    /// Copies what was attached to the spans of a trace, if any of them names such a thing: a server is not asked for nothing.
    async fn take_attachments(&mut self, trace: &Trace) -> Result<(), ImportError> {
        let row = &trace.trace.trace.row;
        let names_some = names_attachments(&trace.trace);
        if self.options.no_artifacts || !names_some || trace.uri.is_empty() || !is_plain(&row.id) {
            return Ok(());
        }
        if !self.own.contains(&row.experiment_id) {
            self.report.elsewhere.push(trace.uri.clone());
            return Ok(());
        }
        let files = match self.source.files(&trace.uri, &row.id) {
            Files::Folder(folder) if !folder.as_os_str().is_empty() => {
                Files::Folder(folder.join(ATTACHMENTS))
            }
            Files::Served(address) => Files::Served(format!("{address}/{ATTACHMENTS}")),
            others => others,
        };
        self.take_from(row.experiment_id, files, &attachments(&row.id)).await
    }
}

/// Whether a span of the trace names something that was attached to it.
pub(crate) fn names_attachments(trace: &ImportedTrace) -> bool {
    let scheme = ATTACHMENT_SCHEME.as_bytes();
    trace.lines.windows(scheme.len()).any(|part| part == scheme)
}

/// Where what was attached to a trace's spans is among the artifacts.
pub(crate) fn attachments(id: &str) -> String {
    format!("{}/{ATTACHMENTS}", trace_files(id))
}

/// Traces that are here, with their spans and links.
pub(crate) async fn whole_traces(
    target: &Target,
    ids: Vec<String>,
) -> Result<HashMap<String, ImportedTrace>, ImportError> {
    let store = &target.store;
    let mut links = store.list_trace_links(ids.clone()).await?;
    let mut lines = store.read_span_lines(ids.clone()).await?;
    let traces = store.find_traces(ids).await?;
    let whole = |trace: millrace_metastore::traces::Trace| {
        let id = trace.row.id.clone();
        let (links, lines) = (links.remove(&id).unwrap_or_default(), lines.remove(&id).unwrap_or_default());
        (id, ImportedTrace { trace, spans: Vec::new(), lines, links })
    };
    Ok(traces.into_iter().map(whole).collect())
}
