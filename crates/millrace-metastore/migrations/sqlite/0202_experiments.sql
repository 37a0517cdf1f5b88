CREATE TABLE experiment (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    lifecycle TEXT NOT NULL DEFAULT 'active',
    artifact_location TEXT
);
INSERT INTO experiment (id, name, created_at, updated_at) VALUES (0, 'Default', CAST(strftime('%s', 'now') AS INTEGER) * 1000000, CAST(strftime('%s', 'now') AS INTEGER) * 1000000);

CREATE TABLE experiment_text (
    experiment_id BIGINT NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (experiment_id, family, name)
);

-- Names of metrics, parameters and tags: documents and series hold their numbers.
CREATE TABLE tracked_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);

-- One row: every transaction that changes runs takes the next number, so that who keeps columns of runs finds what changed since.
CREATE TABLE tracked_clock (
    id BIGINT PRIMARY KEY,
    changed BIGINT NOT NULL
);
INSERT INTO tracked_clock (id, changed) VALUES (1, 0);

-- `document`: latest metrics, parameters and tags; experiments/document.rs has its layout.
CREATE TABLE tracked_run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    experiment_id BIGINT NOT NULL REFERENCES experiment (id),
    parent_id TEXT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    user_id TEXT NOT NULL DEFAULT '',
    lifecycle TEXT NOT NULL DEFAULT 'active',
    changed BIGINT NOT NULL,
    document BLOB NOT NULL
);
CREATE INDEX tracked_run_newest ON tracked_run (experiment_id, lifecycle, started_at DESC, id);
CREATE INDEX tracked_run_nested ON tracked_run (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX tracked_run_changed ON tracked_run (changed);

-- Points that are not the latest of their metric, as they were written; the packer moves them into series.
CREATE TABLE tracked_journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run BIGINT NOT NULL REFERENCES tracked_run (number) ON DELETE CASCADE,
    points BIGINT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX tracked_journal_run ON tracked_journal (run);

-- Chunks of points of a metric; experiments/series.rs has their layout.
CREATE TABLE tracked_series (
    run BIGINT NOT NULL REFERENCES tracked_run (number) ON DELETE CASCADE,
    metric BIGINT NOT NULL,
    chunk BIGINT NOT NULL,
    points BIGINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run, metric, chunk)
) WITHOUT ROWID;

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
