-- Since when a thing is deleted, so that it can be removed for good some time later.
ALTER TABLE tracked_run ADD COLUMN deleted_at BIGINT;
ALTER TABLE experiment ADD COLUMN deleted_at BIGINT;
UPDATE experiment SET deleted_at = updated_at WHERE lifecycle = 'deleted';
CREATE INDEX tracked_run_deleted ON tracked_run (experiment_id, deleted_at, id) WHERE lifecycle = 'deleted';

-- Runs that are gone for good, by number, with the change that took them. Whoever keeps columns of runs takes them out; `trimmed` is the
-- last change whose runs are no longer listed.
CREATE TABLE tracked_gone (
    run BIGINT PRIMARY KEY,
    changed BIGINT NOT NULL,
    gone_at BIGINT NOT NULL
);
CREATE INDEX tracked_gone_changed ON tracked_gone (changed);
ALTER TABLE tracked_clock ADD COLUMN trimmed BIGINT NOT NULL DEFAULT 0;

-- One row: the greatest id of an experiment that is gone for good. No id is given twice.
CREATE TABLE experiment_gone (
    id BIGINT PRIMARY KEY,
    greatest BIGINT NOT NULL
);
INSERT INTO experiment_gone (id, greatest) VALUES (1, 0);

-- What refers to a run or a logged model.
CREATE INDEX tracked_input_dataset ON tracked_input (name, digest);
CREATE INDEX tracked_model_link_model ON tracked_model_link (model_id);
CREATE INDEX logged_model_source ON logged_model (source_run_id);
CREATE INDEX logged_model_metric_run ON logged_model_metric (run_id);

-- Files that belong to nothing any more: `path` is a folder below the root of all artifacts, `owner` the run or logged model they were of.
CREATE TABLE artifact_garbage (
    path TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    since BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    -- Times that nothing was left.
    looks BIGINT NOT NULL DEFAULT 0,
    -- Whether the files are being deleted at this moment.
    busy BIGINT NOT NULL DEFAULT 0,
    error TEXT
);
CREATE INDEX artifact_garbage_due ON artifact_garbage (next_at, path);
CREATE INDEX artifact_garbage_owner ON artifact_garbage (owner);
