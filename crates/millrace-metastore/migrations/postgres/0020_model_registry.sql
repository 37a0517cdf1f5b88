-- A name under which models, or the prompts of MLflow, have versions. `last_version` only grows, so that no number is given twice.
CREATE TABLE registered_model (
    name TEXT PRIMARY KEY,
    description TEXT,
    last_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What the registry says of a version; a model's content is in `asset_version`, a prompt's in its tags. A deleted version keeps its
-- number and nothing else.
CREATE TABLE model_version (
    name TEXT NOT NULL REFERENCES registered_model (name) ON UPDATE CASCADE ON DELETE CASCADE,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    stage TEXT NOT NULL,
    description TEXT,
    source TEXT NOT NULL,
    location TEXT,
    run_id TEXT,
    run_link TEXT,
    model_id TEXT,
    PRIMARY KEY (name, version)
);
CREATE INDEX model_version_newest ON model_version (updated_at DESC, name, version DESC);
CREATE INDEX model_version_run ON model_version (run_id);

-- Tags of a version; version 0 is the registered model itself.
CREATE TABLE model_tag (
    name TEXT NOT NULL REFERENCES registered_model (name) ON UPDATE CASCADE ON DELETE CASCADE,
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (name, version, key)
);
CREATE INDEX model_tag_key ON model_tag (key, name);

INSERT INTO registered_model (name, description, last_version, created_at, updated_at)
SELECT name, NULL, MAX(version), MIN(created_at), MAX(created_at) FROM asset_version WHERE kind = 'model' GROUP BY name;

INSERT INTO model_version (name, version, created_at, updated_at, stage, description, source, run_id)
SELECT name, version, created_at, created_at, 'None', details::json ->> 'description',
       'mlflow-artifacts:/.registry/' || name || '/' || substr(replace(digest, 'blake3:', ''), 1, 32),
       details::json ->> 'tracking_run_id'
FROM asset_version WHERE kind = 'model';

CREATE TABLE webhook (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    secret TEXT,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What a webhook is told of: `model_version.created`, ….
CREATE TABLE webhook_event (
    webhook_id TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    PRIMARY KEY (event, webhook_id)
);

CREATE TABLE webhook_outbox (
    id TEXT PRIMARY KEY,
    webhook_id TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    delivered_at BIGINT,
    dead BIGINT NOT NULL,
    error TEXT
);
CREATE INDEX webhook_outbox_due ON webhook_outbox (delivered_at, dead, next_at);
