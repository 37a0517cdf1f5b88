-- Steps that are done for many items: a row an item once it began, `train[3]` beside `train`, which knows all its items.
ALTER TABLE step_run ADD COLUMN item_of TEXT;
ALTER TABLE step_run ADD COLUMN item BIGINT;
ALTER TABLE step_run ADD COLUMN label TEXT;
ALTER TABLE step_run ADD COLUMN items TEXT;
ALTER TABLE step_run ADD COLUMN items_total BIGINT;
-- What a step that could begin waits for (`slots`, `pool:<name>`, `rate:<name>`) and since when: its place in the queue.
ALTER TABLE step_run ADD COLUMN waits_for TEXT;
ALTER TABLE step_run ADD COLUMN queued_at BIGINT;
CREATE INDEX step_run_items ON step_run (run_id, item_of, item) WHERE item_of IS NOT NULL;
CREATE INDEX step_run_queue ON step_run (queued_at) WHERE waits_for IS NOT NULL;

-- Runs that a step of another run started, and what they leave for it.
ALTER TABLE pipeline_run ADD COLUMN parent_run TEXT;
ALTER TABLE pipeline_run ADD COLUMN parent_step TEXT;
ALTER TABLE pipeline_run ADD COLUMN depth BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline_run ADD COLUMN outputs TEXT;
ALTER TABLE pipeline_run ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline_run ADD COLUMN paused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pipeline_run ADD COLUMN deadline_at BIGINT;
CREATE INDEX pipeline_run_children ON pipeline_run (parent_run, parent_step) WHERE parent_run IS NOT NULL;
