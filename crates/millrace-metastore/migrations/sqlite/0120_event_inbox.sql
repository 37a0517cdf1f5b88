-- What happened elsewhere, one row for each trigger that it is for. An event is here before its source is told so, and the run that it
-- starts is stored in one transaction with its new state: at least once in, exactly one run out. Instants are microseconds since 1970.
CREATE TABLE event_inbox (
    id TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    trigger_name TEXT NOT NULL,
    source TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    order_key TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    repeats BIGINT NOT NULL DEFAULT 0,
    run_id TEXT,
    received_at BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    settled_at BIGINT,
    UNIQUE (pipeline, trigger_name, source, dedup_key)
);
CREATE INDEX event_inbox_open ON event_inbox (next_at, id) WHERE state IN ('waiting', 'held');
CREATE INDEX event_inbox_newest ON event_inbox (received_at DESC, id DESC);
CREATE INDEX event_inbox_started ON event_inbox (pipeline, trigger_name, order_key) WHERE state = 'started' AND order_key IS NOT NULL;

-- How far a source that has to be asked was read; moves in one transaction with the events that were found.
CREATE TABLE event_cursor (
    pipeline TEXT NOT NULL,
    trigger_name TEXT NOT NULL,
    rule TEXT NOT NULL,
    position TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    found_at BIGINT,
    error TEXT,
    PRIMARY KEY (pipeline, trigger_name)
);

-- For triggers that wait for the end of other pipelines' runs.
CREATE INDEX pipeline_run_ended_of_pipeline ON pipeline_run (pipeline, ended_at) WHERE ended_at IS NOT NULL;
