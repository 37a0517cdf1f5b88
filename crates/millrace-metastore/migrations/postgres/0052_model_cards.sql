-- What people wrote about a version of a model, Markdown; the newest text counts, the older ones are kept.
CREATE TABLE model_card (
    name TEXT NOT NULL REFERENCES registered_model (name) ON UPDATE CASCADE ON DELETE CASCADE,
    version BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    content TEXT NOT NULL,
    written_by TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    PRIMARY KEY (name, version, revision)
);

-- Requests to point an alias at a version. They are about the content with this digest and no other.
CREATE TABLE promotion (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL REFERENCES registered_model (name) ON UPDATE CASCADE ON DELETE CASCADE,
    version BIGINT NOT NULL,
    alias TEXT NOT NULL,
    digest TEXT NOT NULL,
    quorum BIGINT NOT NULL,
    state TEXT NOT NULL,
    comment TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    decided_at BIGINT,
    replaced_version BIGINT
);
CREATE INDEX promotion_model ON promotion (name, requested_at);

CREATE TABLE promotion_vote (
    promotion_id TEXT NOT NULL REFERENCES promotion (id) ON DELETE CASCADE,
    voter TEXT NOT NULL,
    approves BIGINT NOT NULL,
    comment TEXT NOT NULL,
    voted_at BIGINT NOT NULL,
    PRIMARY KEY (promotion_id, voter)
);
