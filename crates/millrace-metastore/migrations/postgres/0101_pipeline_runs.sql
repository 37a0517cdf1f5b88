-- One row: every start of an engine raises the epoch, and transitions of an older epoch are refused.
CREATE TABLE engine_epoch (
    id BIGINT PRIMARY KEY,
    epoch BIGINT NOT NULL
);
INSERT INTO engine_epoch (id, epoch) VALUES (1, 0);

-- Instants are microseconds since 1970, UTC. Documents are JSON.
CREATE TABLE pipeline_run (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL,
    pipeline TEXT NOT NULL,
    definition TEXT NOT NULL,
    inputs TEXT NOT NULL,
    options TEXT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    concurrency_key TEXT,
    concurrency_limit BIGINT,
    cancel_requested BIGINT NOT NULL DEFAULT 0,
    error TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT
);
CREATE INDEX pipeline_run_newest ON pipeline_run (created_at DESC, id DESC);
CREATE INDEX pipeline_run_by_pipeline ON pipeline_run (pipeline, created_at DESC, id DESC);
CREATE INDEX pipeline_run_open ON pipeline_run (state, concurrency_key) WHERE state IN ('queued', 'running');

CREATE TABLE step_run (
    run_id TEXT NOT NULL REFERENCES pipeline_run (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    position BIGINT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    lost BIGINT NOT NULL DEFAULT 0,
    retry_at BIGINT,
    ready_at BIGINT,
    started_at BIGINT,
    ended_at BIGINT,
    outcome TEXT,
    error TEXT,
    reuse TEXT,
    reason TEXT,
    PRIMARY KEY (run_id, step)
);

CREATE TABLE step_attempt (
    run_id TEXT NOT NULL REFERENCES pipeline_run (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    number BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    state TEXT NOT NULL,
    handle TEXT,
    exit TEXT,
    error TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (run_id, step, number)
);
CREATE INDEX step_attempt_running ON step_attempt (state) WHERE state = 'running';

-- Slots of named pools. Held exactly as long as the attempt runs: they are counted through step_attempt, never kept in a counter.
CREATE TABLE attempt_slot (
    run_id TEXT NOT NULL,
    step TEXT NOT NULL,
    number BIGINT NOT NULL,
    pool TEXT NOT NULL,
    slots BIGINT NOT NULL,
    PRIMARY KEY (run_id, step, number, pool)
);
CREATE INDEX attempt_slot_pool ON attempt_slot (pool);

CREATE TABLE step_cache (
    cache_key TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL,
    components TEXT NOT NULL,
    outcome TEXT NOT NULL,
    run_id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX step_cache_step ON step_cache (pipeline, step, created_at DESC);

CREATE TABLE trigger_state (
    pipeline TEXT NOT NULL,
    trigger_name TEXT NOT NULL,
    rule TEXT NOT NULL,
    checked_until BIGINT NOT NULL,
    paused BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (pipeline, trigger_name)
);

-- Identity of a firing = (trigger, instant): two schedulers or a clock that steps back cannot fire twice.
CREATE TABLE trigger_firing (
    pipeline TEXT NOT NULL,
    trigger_name TEXT NOT NULL,
    instant BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (pipeline, trigger_name, instant)
);
