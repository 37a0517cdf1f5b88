-- The next firing that is expected, since when it is overdue, and why the last one started no run.
ALTER TABLE trigger_state ADD COLUMN next_at BIGINT;
ALTER TABLE trigger_state ADD COLUMN overdue_since BIGINT;
ALTER TABLE trigger_state ADD COLUMN note TEXT;
ALTER TABLE trigger_firing ADD COLUMN note TEXT;
CREATE INDEX trigger_firing_run ON trigger_firing (run_id);
