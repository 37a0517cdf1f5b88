CREATE TABLE trace (
    id TEXT NOT NULL PRIMARY KEY,
    experiment_id BIGINT NOT NULL,
    name TEXT,
    state TEXT NOT NULL,
    requested_at_ms BIGINT NOT NULL,
    duration_ms BIGINT,
    client_request_id TEXT,
    request_preview TEXT,
    response_preview TEXT,
    -- Whether its client has told all of the above, so that spans no longer change it.
    is_final BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX trace_newest ON trace (experiment_id, requested_at_ms DESC, id);

-- Tags (`tag`) and metadata (`metadata`).
CREATE TABLE trace_text (
    trace_id TEXT NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (trace_id, family, name)
) WITHOUT ROWID;

-- What a search compares of each span; all of it is in `trace_spans`.
CREATE TABLE trace_span (
    trace_id TEXT NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
    span_id TEXT NOT NULL,
    parent_id TEXT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    -- Tokens and costs, a JSON document; mostly absent.
    spent TEXT,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;

-- Spans as they came, a line each, one compressed document a batch. A later line replaces an earlier one of the same span.
CREATE TABLE trace_spans (
    trace_id TEXT NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (trace_id, number)
);

CREATE TABLE trace_assessment (
    trace_id TEXT NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The value as JSON, and as a number if it is one.
    content TEXT NOT NULL,
    number DOUBLE PRECISION,
    is_valid BIGINT NOT NULL DEFAULT 1,
    overrides TEXT,
    document TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (trace_id, id)
);
CREATE INDEX trace_assessment_name ON trace_assessment (kind, name, trace_id);

-- Runs that a trace was made in or linked to, and versions of prompts (`name/version`) that it used.
CREATE TABLE trace_link (
    trace_id TEXT NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (trace_id, kind, target)
) WITHOUT ROWID;
CREATE INDEX trace_link_target ON trace_link (kind, target, trace_id);
