-- Versions of datasets and models share their shape: a name, a number, the stored asset, who made it and from what. Documents are JSON.
CREATE TABLE asset_version (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    asset TEXT NOT NULL,
    details TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, name, version)
);

CREATE TABLE asset_alias (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (kind, name, alias)
);

-- What a version was made from: one row an edge.
CREATE TABLE asset_edge (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    from_kind TEXT NOT NULL,
    from_name TEXT NOT NULL,
    from_version BIGINT NOT NULL,
    PRIMARY KEY (kind, name, version, from_kind, from_name, from_version)
);
CREATE INDEX asset_edge_from ON asset_edge (from_kind, from_name, from_version);
