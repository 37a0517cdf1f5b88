-- What was taken over from elsewhere, by where that is.
CREATE TABLE import_source (
    identity TEXT NOT NULL PRIMARY KEY,
    began_at BIGINT NOT NULL,
    -- When all of it was here and compared last.
    finished_at BIGINT
);

-- What an experiment (`experiment`, by its number) or a registered model (`model`) of a source is called here.
CREATE TABLE import_name (
    identity TEXT NOT NULL REFERENCES import_source (identity) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    here TEXT NOT NULL,
    PRIMARY KEY (identity, kind, name)
);
