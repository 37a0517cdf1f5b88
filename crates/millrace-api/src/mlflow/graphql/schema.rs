//! The types of MLflow's GraphQL schema that its pages read, by their names there.

use Of::{Bool, Float, Long, Many, One, Text, Texts};

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    Text,
    Texts,
    Bool,
    Float,
    /// A whole number, as text: JavaScript has too few digits.
    Long,
    One(&'static Type),
    Many(&'static Type),
}

/// An object.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(&'static str, Of)],
}

impl Type {
    pub(super) fn field(&self, name: &str) -> Option<Of> {
        self.fields.iter().find(|(other, _)| *other == name).map(|(_, of)| *of)
    }
}

pub(super) static QUERY: Type = Type {
    name: "Query",
    fields: &[
        ("mlflowGetExperiment", One(&GET_EXPERIMENT)),
        ("mlflowGetMetricHistoryBulkInterval", One(&METRIC_HISTORY)),
        ("mlflowGetRun", One(&GET_RUN)),
        ("mlflowListArtifacts", One(&LIST_ARTIFACTS)),
        ("mlflowSearchModelVersions", One(&SEARCH_MODEL_VERSIONS)),
        ("mlflowSearchRuns", One(&SEARCH_RUNS)),
    ],
};

pub(super) static MUTATION: Type = Type {
    name: "Mutation",
    fields: &[
        ("mlflowSearchDatasets", One(&SEARCH_DATASETS)),
        // Not one of theirs that changes anything; old pages search by it.
        ("mlflowSearchRuns", One(&SEARCH_RUNS)),
    ],
};

static API_ERROR: Type = Type {
    name: "ApiError",
    fields: &[("code", Text), ("message", Text), ("helpUrl", Text), ("traceId", Text)],
};

static GET_EXPERIMENT: Type = Type {
    name: "MlflowGetExperimentResponse",
    fields: &[("experiment", One(&EXPERIMENT)), ("apiError", One(&API_ERROR))],
};

static EXPERIMENT: Type = Type {
    name: "MlflowExperiment",
    fields: &[
        ("experimentId", Text),
        ("name", Text),
        ("artifactLocation", Text),
        ("lifecycleStage", Text),
        ("lastUpdateTime", Long),
        ("creationTime", Long),
        ("tags", Many(&EXPERIMENT_TAG)),
        ("effectiveTraceArchivalRetention", Text),
        ("workspace", Text),
    ],
};

static EXPERIMENT_TAG: Type = Type { name: "MlflowExperimentTag", fields: &[("key", Text), ("value", Text)] };

static METRIC_HISTORY: Type = Type {
    name: "MlflowGetMetricHistoryBulkIntervalResponse",
    fields: &[("metrics", Many(&METRIC_WITH_RUN)), ("apiError", One(&API_ERROR))],
};

static METRIC_WITH_RUN: Type = Type {
    name: "MlflowMetricWithRunId",
    fields: &[("key", Text), ("value", Float), ("timestamp", Long), ("step", Long), ("runId", Text)],
};

static GET_RUN: Type =
    Type { name: "MlflowGetRunResponse", fields: &[("run", One(&RUN)), ("apiError", One(&API_ERROR))] };

static SEARCH_RUNS: Type = Type {
    name: "MlflowSearchRunsResponse",
    fields: &[("runs", Many(&RUN)), ("nextPageToken", Text), ("apiError", One(&API_ERROR))],
};

static RUN: Type = Type {
    name: "MlflowRunExtension",
    fields: &[
        ("info", One(&RUN_INFO)),
        ("data", One(&RUN_DATA)),
        ("inputs", One(&RUN_INPUTS)),
        ("outputs", One(&RUN_OUTPUTS)),
        ("experiment", One(&EXPERIMENT)),
        ("modelVersions", Many(&MODEL_VERSION)),
    ],
};

static RUN_INFO: Type = Type {
    name: "MlflowRunInfo",
    fields: &[
        ("runId", Text),
        ("runUuid", Text),
        ("runName", Text),
        ("experimentId", Text),
        ("userId", Text),
        ("status", Text),
        ("startTime", Long),
        ("endTime", Long),
        ("artifactUri", Text),
        ("lifecycleStage", Text),
    ],
};

static RUN_DATA: Type = Type {
    name: "MlflowRunData",
    fields: &[("metrics", Many(&METRIC)), ("params", Many(&PARAM)), ("tags", Many(&RUN_TAG))],
};

static METRIC: Type = Type {
    name: "MlflowMetricExtension",
    fields: &[
        ("key", Text),
        ("value", Float),
        ("timestamp", Long),
        ("step", Long),
        ("datasetName", Text),
        ("datasetDigest", Text),
        ("modelId", Text),
        ("runId", Text),
    ],
};

static PARAM: Type = Type { name: "MlflowParam", fields: &[("key", Text), ("value", Text)] };

static RUN_TAG: Type = Type { name: "MlflowRunTag", fields: &[("key", Text), ("value", Text)] };

static RUN_INPUTS: Type = Type {
    name: "MlflowRunInputs",
    fields: &[("datasetInputs", Many(&DATASET_INPUT)), ("modelInputs", Many(&MODEL_INPUT))],
};

static DATASET_INPUT: Type =
    Type { name: "MlflowDatasetInput", fields: &[("tags", Many(&INPUT_TAG)), ("dataset", One(&DATASET))] };

static INPUT_TAG: Type = Type { name: "MlflowInputTag", fields: &[("key", Text), ("value", Text)] };

static DATASET: Type = Type {
    name: "MlflowDataset",
    fields: &[
        ("name", Text),
        ("digest", Text),
        ("sourceType", Text),
        ("source", Text),
        ("schema", Text),
        ("profile", Text),
    ],
};

static MODEL_INPUT: Type = Type { name: "MlflowModelInput", fields: &[("modelId", Text)] };

static RUN_OUTPUTS: Type =
    Type { name: "MlflowRunOutputs", fields: &[("modelOutputs", Many(&MODEL_OUTPUT))] };

static MODEL_OUTPUT: Type = Type { name: "MlflowModelOutput", fields: &[("modelId", Text), ("step", Long)] };

static LIST_ARTIFACTS: Type = Type {
    name: "MlflowListArtifactsResponse",
    fields: &[
        ("rootUri", Text),
        ("files", Many(&FILE_INFO)),
        ("nextPageToken", Text),
        ("apiError", One(&API_ERROR)),
    ],
};

static FILE_INFO: Type =
    Type { name: "MlflowFileInfo", fields: &[("path", Text), ("isDir", Bool), ("fileSize", Long)] };

static SEARCH_DATASETS: Type = Type {
    name: "MlflowSearchDatasetsResponse",
    fields: &[("datasetSummaries", Many(&DATASET_SUMMARY)), ("apiError", One(&API_ERROR))],
};

static DATASET_SUMMARY: Type = Type {
    name: "MlflowDatasetSummary",
    fields: &[("experimentId", Text), ("name", Text), ("digest", Text), ("context", Text)],
};

static SEARCH_MODEL_VERSIONS: Type = Type {
    name: "MlflowSearchModelVersionsResponse",
    fields: &[
        ("modelVersions", Many(&MODEL_VERSION)),
        ("nextPageToken", Text),
        ("apiError", One(&API_ERROR)),
    ],
};

static MODEL_VERSION: Type = Type {
    name: "MlflowModelVersion",
    fields: &[
        ("name", Text),
        ("version", Text),
        ("creationTimestamp", Long),
        ("lastUpdatedTimestamp", Long),
        ("userId", Text),
        ("currentStage", Text),
        ("description", Text),
        ("source", Text),
        ("runId", Text),
        ("status", Text),
        ("statusMessage", Text),
        ("tags", Many(&MODEL_VERSION_TAG)),
        ("runLink", Text),
        ("aliases", Texts),
        ("modelId", Text),
    ],
};

static MODEL_VERSION_TAG: Type =
    Type { name: "MlflowModelVersionTag", fields: &[("key", Text), ("value", Text)] };
