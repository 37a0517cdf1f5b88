//! Traces: `<experiment>/traces/<trace>/{trace_info.yaml,tags,request_metadata,assessments,artifacts/traces.json}`.

use std::path::Path;

use millrace_metastore::traces::{Trace, TraceRow};

use super::yaml::Meta;
use super::{ARTIFACTS, number, values};
use crate::assessment;
use crate::digest::LOCATION_TAG;
use crate::files::{Files, Places};
use crate::record::{self, Broken, clean};
use crate::trace::{self, state};

const INFO: &str = "trace_info.yaml";
/// The file of the spans.
pub(crate) const SPANS: &str = "traces.json";

pub(super) fn read(
    experiment: &Path,
    folder: &Path,
    places: &Places,
    broken: &mut Vec<Broken>,
) -> Option<record::Trace> {
    let mut trace = info(experiment, folder, broken).map_err(|error| broken.push(error)).ok()?;
    let id = trace.row.id.clone();
    for file in crate::files::walk(&folder.join("assessments")).map(|(files, _)| files).unwrap_or_default() {
        let path = folder.join("assessments").join(&file.0);
        let read = Meta::read(&path)
            .and_then(|meta| assessment::read(&meta.json(), &id).map_err(|reason| meta.broken(&reason)));
        match read {
            Ok(row) => trace.assessments.push(row),
            Err(error) => broken.push(error),
        }
    }
    let location = trace.tags.iter().find(|(name, _)| name == LOCATION_TAG).map(|(_, uri)| uri.clone());
    let own = folder.join(ARTIFACTS).join(SPANS);
    let file = match location.map(|uri| places.find(&uri, &id)) {
        _ if own.is_file() => own,
        Some(Files::Folder(folder)) => folder.join(SPANS),
        _ => own,
    };
    let spans = match fs_err::read(&file) {
        Ok(bytes) => {
            trace::read_file(&bytes).map_err(|reason| Broken::new(file.display().to_string(), reason))
        }
        // A trace that has not ended has none.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Broken::new(file.display().to_string(), error.kind())),
    };
    let spans = spans.unwrap_or_else(|error| {
        broken.push(error);
        Vec::new()
    });
    Some(trace::imported(trace, spans, Vec::new()))
}

fn info(experiment: &Path, folder: &Path, broken: &mut Vec<Broken>) -> Result<Trace, Broken> {
    let meta = Meta::read(&folder.join(INFO))?;
    let id = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let told = meta.text("trace_id").or_else(|| meta.text("request_id"));
    if told.is_some_and(|told| told != id) {
        return Err(meta.broken("`trace_id` is not the name of the folder"));
    }
    let time = meta.text("request_time").and_then(|text| assessment::time(&text));
    let time = time.or_else(|| meta.int("timestamp_ms"));
    let word = meta.text("state").or_else(|| meta.text("status")).unwrap_or_default();
    let row = TraceRow {
        id,
        experiment_id: number(experiment)?,
        name: None,
        state: state(&word).to_owned(),
        requested_at_ms: time.ok_or_else(|| meta.broken("a trace without `request_time`"))?,
        duration_ms: meta.int("execution_duration_ms").or_else(|| meta.int("execution_time_ms")),
        client_request_id: meta.text("client_request_id"),
        request_preview: meta.text("request_preview").map(clean),
        response_preview: meta.text("response_preview").map(clean),
    };
    let metadata = values(&folder.join("request_metadata"), broken);
    Ok(Trace { row, tags: values(&folder.join("tags"), broken), metadata, assessments: Vec::new() })
}
