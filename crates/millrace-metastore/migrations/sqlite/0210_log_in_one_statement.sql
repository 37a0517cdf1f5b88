-- With `changed` it makes the number that the process which logged to the run last knows this state by: another writer changes the sum.
ALTER TABLE tracked_run ADD COLUMN mark BIGINT;

-- Numbers of rows that are gone may be given again: nobody counts on them, and remembering the greatest was a page for each write.
CREATE TABLE tracked_journal_rows (
    seq INTEGER PRIMARY KEY,
    run BIGINT NOT NULL REFERENCES tracked_run (number) ON DELETE CASCADE,
    points BIGINT NOT NULL,
    body BLOB NOT NULL
);
INSERT INTO tracked_journal_rows SELECT seq, run, points, body FROM tracked_journal;
DROP TABLE tracked_journal;
ALTER TABLE tracked_journal_rows RENAME TO tracked_journal;
CREATE INDEX tracked_journal_run ON tracked_journal (run);

-- What is logged to a run, written by one statement, which is one hand-over to the connection's thread. `was` is the state that the writer
-- last knew, null if any will do; `becomes` is what it will be called.
CREATE VIEW tracked_log AS
    SELECT number AS run, mark + changed AS was, mark + changed AS becomes, name, parent_id, 0 AS points, x'' AS journal, document FROM tracked_run;
CREATE TRIGGER tracked_log_takes INSTEAD OF INSERT ON tracked_log BEGIN
    SELECT RAISE(ABORT, 'a run is not as it was left') WHERE NEW.was IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM tracked_run WHERE number = NEW.run AND mark + changed = NEW.was);
    INSERT INTO tracked_journal (run, points, body) SELECT NEW.run, NEW.points, NEW.journal WHERE NEW.points > 0;
    UPDATE tracked_clock SET changed = changed + 1 WHERE id = 1;
    UPDATE tracked_run SET changed = clock.changed, mark = NEW.becomes - clock.changed, document = NEW.document
        FROM (SELECT changed FROM tracked_clock WHERE id = 1) AS clock WHERE number = NEW.run;
    UPDATE tracked_run SET name = NEW.name WHERE NEW.name IS NOT NULL AND number = NEW.run;
    UPDATE tracked_run SET parent_id = NEW.parent_id WHERE NEW.parent_id IS NOT NULL AND number = NEW.run;
END;
