CREATE TABLE experiment (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE tracked_run (
    id TEXT PRIMARY KEY,
    experiment_id BIGINT NOT NULL REFERENCES experiment (id),
    parent_id TEXT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX tracked_run_newest ON tracked_run (experiment_id, started_at DESC, id);

CREATE TABLE tracked_metric (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    step BIGINT NOT NULL,
    logged_at BIGINT NOT NULL,
    number DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (run_id, name, step, logged_at, number)
);

CREATE TABLE tracked_text (
    run_id TEXT NOT NULL REFERENCES tracked_run (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (run_id, family, name)
);
