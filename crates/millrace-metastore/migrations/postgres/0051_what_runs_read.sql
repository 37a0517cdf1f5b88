-- What a step of a pipeline run read and left: a version in the catalog, or content without a name, which its digest tells.
CREATE TABLE step_asset (
    run_id TEXT NOT NULL REFERENCES pipeline_run (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    direction TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run_id, step, direction, kind, name, version, digest)
);
CREATE INDEX step_asset_name ON step_asset (kind, name, version);
CREATE INDEX step_asset_digest ON step_asset (digest);

-- Which dataset version an input is that a client of MLflow logged.
CREATE TABLE tracked_input_asset (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    asset_name TEXT NOT NULL,
    asset_version BIGINT NOT NULL,
    PRIMARY KEY (run_id, name, digest)
);
CREATE INDEX tracked_input_asset_version ON tracked_input_asset (asset_name, asset_version);
CREATE INDEX asset_version_digest ON asset_version (kind, digest);
