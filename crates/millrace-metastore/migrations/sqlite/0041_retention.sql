-- Rules by which runs of an experiment are deleted and purged, a JSON document of the tracking room. -1 is the default for all
-- experiments without rules of their own.
CREATE TABLE retention (
    experiment_id BIGINT PRIMARY KEY,
    document TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
