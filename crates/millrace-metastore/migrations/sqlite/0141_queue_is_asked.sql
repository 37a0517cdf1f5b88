-- When a step that waits for room asked last: one that asks no more, since its server is gone, keeps nobody back.
ALTER TABLE step_run ADD COLUMN asked_at BIGINT;
