-- A row a window: an interval of time that must be worked on once. `attempt` counts all its runs, `tried` those since it was last asked
-- for, which is what retries count.
CREATE TABLE trigger_window (
    pipeline TEXT NOT NULL,
    trigger_name TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    attempt BIGINT NOT NULL DEFAULT 0,
    tried BIGINT NOT NULL DEFAULT 0,
    run_id TEXT,
    retry_at BIGINT,
    waiting_since BIGINT,
    succeeded_at BIGINT,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (pipeline, trigger_name, window_start)
);
CREATE INDEX trigger_window_open ON trigger_window (pipeline, trigger_name, window_start)
    WHERE state IN ('waiting', 'waiting_on_dependency', 'running');
CREATE INDEX trigger_window_state ON trigger_window (pipeline, trigger_name, state, window_end);

-- Every run that was about a window, also one that a person started for it.
CREATE TABLE window_run (
    run_id TEXT PRIMARY KEY REFERENCES pipeline_run (id) ON DELETE CASCADE,
    pipeline TEXT NOT NULL,
    trigger_name TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    attempt BIGINT NOT NULL
);
CREATE INDEX window_run_window ON window_run (pipeline, trigger_name, window_start);
