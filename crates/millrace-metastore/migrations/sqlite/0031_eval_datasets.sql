CREATE TABLE eval_dataset (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    -- Fields and their types, a JSON document.
    fields TEXT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    created_by TEXT,
    updated_by TEXT
);

CREATE TABLE eval_dataset_tag (
    dataset_id TEXT NOT NULL REFERENCES eval_dataset (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (dataset_id, name)
);

CREATE TABLE eval_dataset_experiment (
    dataset_id TEXT NOT NULL REFERENCES eval_dataset (id) ON DELETE CASCADE,
    experiment_id BIGINT NOT NULL,
    PRIMARY KEY (dataset_id, experiment_id)
);
CREATE INDEX eval_dataset_of_experiment ON eval_dataset_experiment (experiment_id);

-- A record is known by its inputs.
CREATE TABLE eval_record (
    dataset_id TEXT NOT NULL REFERENCES eval_dataset (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    inputs_digest TEXT NOT NULL,
    document TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (dataset_id, id),
    UNIQUE (dataset_id, inputs_digest)
);
CREATE INDEX eval_record_in_order ON eval_record (dataset_id, created_at_ms, id);
