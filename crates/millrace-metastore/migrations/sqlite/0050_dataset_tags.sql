-- Tags of a dataset's version; version 0 is the dataset itself. Aliases are in `asset_alias`.
CREATE TABLE asset_tag (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (kind, name, version, key)
);
CREATE INDEX asset_version_time ON asset_version (kind, name, created_at);
