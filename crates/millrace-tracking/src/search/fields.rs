//! What can be searched by which name.

use millrace_metastore::experiments::{Attribute, Field};

use super::InvalidSearch;
use super::lexer::Segment;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Tracked runs.
    Runs,
    /// Experiments.
    Experiments,
    /// Logged models.
    LoggedModels,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Number,
    Text,
}

const RUNS: &[(&str, Attribute)] = &[
    ("run_id", Attribute::Id),
    ("run_name", Attribute::Name),
    ("run name", Attribute::Name),
    ("status", Attribute::Status),
    ("artifact_uri", Attribute::ArtifactUri),
    ("user_id", Attribute::UserId),
    ("experiment_id", Attribute::ExperimentId),
    ("start_time", Attribute::StartTime),
    ("created", Attribute::StartTime),
    ("end_time", Attribute::EndTime),
];
const EXPERIMENTS: &[(&str, Attribute)] = &[
    ("experiment_id", Attribute::Id),
    ("name", Attribute::Name),
    ("creation_time", Attribute::CreatedAt),
    ("last_update_time", Attribute::UpdatedAt),
];
const MODELS: &[(&str, Attribute)] = &[
    ("model_id", Attribute::Id),
    ("name", Attribute::Name),
    ("model_name", Attribute::Name),
    ("model_type", Attribute::ModelType),
    ("status", Attribute::Status),
    ("source_run_id", Attribute::SourceRunId),
    ("experiment_id", Attribute::ExperimentId),
    ("creation_timestamp", Attribute::CreatedAt),
    ("creation_time", Attribute::CreatedAt),
    ("last_updated_timestamp", Attribute::UpdatedAt),
    ("last_updated_time", Attribute::UpdatedAt),
];

/// The field that a path names.
pub(super) fn field(target: Target, path: &[Segment]) -> Result<(Field, Holds), InvalidSearch> {
    let shown = || path.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(".");
    let unknown =
        || InvalidSearch::new(format!("Invalid clause(s) in filter string: '{}' is no field", shown()));
    let (first, rest) = path.split_first().ok_or_else(unknown)?;
    if rest.is_empty() {
        return attribute(target, &first.text);
    }
    // A quoted key is one segment; dots of a plain one are part of it.
    if first.quoted || (rest.len() > 1 && rest.iter().any(|segment| segment.quoted)) {
        return Err(unknown());
    }
    let key = rest.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(".");
    let of_run_or_model = target != Target::Experiments;
    match first.text.to_ascii_lowercase().as_str() {
        "metric" | "metrics" if of_run_or_model => Ok((Field::Metric(key), Holds::Number)),
        "param" | "params" | "parameter" | "parameters" if of_run_or_model => {
            Ok((Field::Param(key), Holds::Text))
        }
        "tag" | "tags" => Ok((Field::Tag(key), Holds::Text)),
        "attribute" | "attributes" | "attr" => attribute(target, &key),
        "run" if target == Target::Runs => attribute(target, &key),
        "dataset" | "datasets" if target == Target::Runs => match key.as_str() {
            "name" => Ok((Field::Dataset("name"), Holds::Text)),
            "digest" => Ok((Field::Dataset("digest"), Holds::Text)),
            "context" => Ok((Field::Dataset("context"), Holds::Text)),
            _ => Err(InvalidSearch::new(format!(
                "Invalid dataset attribute key '{key}' specified. Valid keys are 'name', 'digest', 'context'"
            ))),
        },
        other => Err(InvalidSearch::new(format!("Invalid entity type '{other}' in '{}'", shown()))),
    }
}

fn attribute(target: Target, key: &str) -> Result<(Field, Holds), InvalidSearch> {
    let known = match target {
        Target::Runs => RUNS,
        Target::Experiments => EXPERIMENTS,
        Target::LoggedModels => MODELS,
    };
    let found = known.iter().find(|(word, _)| word.eq_ignore_ascii_case(key));
    let (_, attribute) = found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        InvalidSearch::new(format!(
            "Invalid attribute key '{key}' specified. Valid keys are: {}",
            words.join(", ")
        ))
    })?;
    let number = matches!(
        attribute,
        Attribute::StartTime | Attribute::EndTime | Attribute::CreatedAt | Attribute::UpdatedAt
    );
    Ok((Field::Attribute(*attribute), if number { Holds::Number } else { Holds::Text }))
}
