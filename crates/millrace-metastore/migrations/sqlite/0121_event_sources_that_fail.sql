-- Since when a source cannot be asked, microseconds since 1970: what nobody can ask for is overdue.
ALTER TABLE event_cursor ADD COLUMN failing_since BIGINT;

-- For the newest event of a trigger.
CREATE INDEX event_inbox_of_trigger ON event_inbox (pipeline, trigger_name, received_at);
