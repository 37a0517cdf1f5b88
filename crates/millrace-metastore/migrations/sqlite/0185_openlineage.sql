-- Runs of pipelines that a receiver of OpenLineage's events does not know all of; a row stands as long as something is to be told.
CREATE TABLE lineage_change (
    receiver TEXT NOT NULL,
    run_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    noted_at BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    error TEXT,
    PRIMARY KEY (receiver, run_id)
);
CREATE INDEX lineage_change_due ON lineage_change (receiver, next_at);

-- What a receiver was told of a run that goes on.
CREATE TABLE lineage_told (
    run_id TEXT NOT NULL,
    receiver TEXT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run_id, receiver, event)
);

-- Jobs, their runs and their datasets that others tell of. A key is `namespace/name`. Documents are JSON.
CREATE TABLE outside_job (
    job_key TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    facets TEXT NOT NULL,
    producer TEXT NOT NULL,
    run_id TEXT,
    updated_at BIGINT NOT NULL
);
CREATE INDEX outside_job_newest ON outside_job (updated_at DESC, job_key);

CREATE TABLE outside_run (
    id TEXT PRIMARY KEY,
    job_key TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    facets TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX outside_run_job ON outside_run (job_key, updated_at DESC);
CREATE INDEX outside_run_age ON outside_run (updated_at);

CREATE TABLE outside_dataset (
    dataset_key TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    facets TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What a job reads and writes. `asset_name` is the dataset of the catalog that it is, or empty.
CREATE TABLE outside_use (
    job_key TEXT NOT NULL,
    direction TEXT NOT NULL,
    dataset_key TEXT NOT NULL,
    asset_name TEXT NOT NULL,
    asset_version BIGINT NOT NULL,
    run_id TEXT,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (job_key, direction, dataset_key, asset_name, asset_version)
);
CREATE INDEX outside_use_dataset ON outside_use (dataset_key);
CREATE INDEX outside_use_asset ON outside_use (asset_name, asset_version);
