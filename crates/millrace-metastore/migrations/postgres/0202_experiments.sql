CREATE TABLE experiment (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    lifecycle TEXT NOT NULL DEFAULT 'active',
    artifact_location TEXT
);
INSERT INTO experiment (id, name, created_at, updated_at) VALUES (0, 'Default', CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT), CAST(EXTRACT(EPOCH FROM now()) * 1000000 AS BIGINT));

CREATE TABLE experiment_text (
    experiment_id BIGINT NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (experiment_id, family, name)
);

CREATE TABLE tracked_run (
    id TEXT PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiment (id),
    parent_id TEXT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    user_id TEXT NOT NULL DEFAULT '',
    lifecycle TEXT NOT NULL DEFAULT 'active'
);
CREATE INDEX tracked_run_newest ON tracked_run (experiment_id, started_at DESC, id);
CREATE INDEX tracked_run_nested ON tracked_run (parent_id);

CREATE TABLE tracked_metric (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    number DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, name, logged_at, step, number, is_nan)
);

-- The point of each metric with the greatest step, time and number; kept by the writer.
CREATE TABLE tracked_latest (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    number DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, name)
);

CREATE TABLE tracked_text (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (run_id, family, name)
);

CREATE TABLE tracked_dataset (
    experiment_id BIGINT NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT,
    profile TEXT,
    PRIMARY KEY (experiment_id, name, digest)
);

CREATE TABLE tracked_input (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    context TEXT,
    tags TEXT NOT NULL,
    PRIMARY KEY (run_id, name, digest)
);

CREATE TABLE logged_model (
    id TEXT PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiment (id),
    name TEXT NOT NULL,
    model_type TEXT NOT NULL,
    source_run_id TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    lifecycle TEXT NOT NULL DEFAULT 'active'
);
CREATE INDEX logged_model_newest ON logged_model (experiment_id, created_at DESC, id);

CREATE TABLE logged_model_text (
    model_id TEXT NOT NULL REFERENCES logged_model (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (model_id, family, name)
);

CREATE TABLE logged_model_metric (
    model_id TEXT NOT NULL REFERENCES logged_model (id) ON DELETE CASCADE,
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    logged_at BIGINT NOT NULL,
    step BIGINT NOT NULL,
    number DOUBLE PRECISION NOT NULL,
    is_nan BIGINT NOT NULL DEFAULT 0,
    dataset_name TEXT NOT NULL,
    dataset_digest TEXT NOT NULL,
    PRIMARY KEY (model_id, name, dataset_name, dataset_digest, run_id)
);

-- Models that a run read (`input`) or made (`output`).
CREATE TABLE tracked_model_link (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    direction TEXT NOT NULL,
    model_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (run_id, direction, model_id)
);
