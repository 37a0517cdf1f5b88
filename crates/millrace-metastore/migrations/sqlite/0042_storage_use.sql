-- Bytes that a run takes, as they were measured last, by the run's number.
CREATE TABLE tracked_usage (
    run BIGINT PRIMARY KEY,
    experiment_id BIGINT NOT NULL,
    document_bytes BIGINT NOT NULL,
    point_bytes BIGINT NOT NULL,
    artifact_bytes BIGINT NOT NULL,
    files BIGINT NOT NULL,
    measured_at BIGINT NOT NULL
);
CREATE INDEX tracked_usage_experiment ON tracked_usage (experiment_id, document_bytes, point_bytes, artifact_bytes, files, measured_at);

-- One row: the change up to which runs were measured, and the last run of that change.
CREATE TABLE tracked_usage_seen (
    id BIGINT PRIMARY KEY,
    changed BIGINT NOT NULL,
    run BIGINT NOT NULL
);
INSERT INTO tracked_usage_seen (id, changed, run) VALUES (1, 0, 0);

CREATE TABLE trace_usage (
    experiment_id BIGINT PRIMARY KEY,
    traces BIGINT NOT NULL,
    trace_bytes BIGINT NOT NULL
);
