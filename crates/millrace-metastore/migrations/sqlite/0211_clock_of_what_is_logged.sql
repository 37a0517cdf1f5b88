-- What is logged takes the number after the greatest that a run or the clock has, and leaves the clock as it is: that is a page less to write.
-- Runs that go for good move the clock first, so that no number is taken twice.
DROP TRIGGER tracked_log_takes;
CREATE TRIGGER tracked_log_takes INSTEAD OF INSERT ON tracked_log BEGIN
    SELECT RAISE(ABORT, 'a run is not as it was left') WHERE NEW.was IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM tracked_run WHERE number = NEW.run AND mark + changed = NEW.was);
    INSERT INTO tracked_journal (run, points, body) SELECT NEW.run, NEW.points, NEW.journal WHERE NEW.points > 0;
    UPDATE tracked_run SET changed = clock.next, mark = NEW.becomes - clock.next, document = NEW.document
        FROM (SELECT MAX(changed, (SELECT COALESCE(MAX(changed), 0) FROM tracked_run)) + 1 AS next FROM tracked_clock WHERE id = 1) AS clock
        WHERE number = NEW.run;
    UPDATE tracked_run SET name = NEW.name WHERE NEW.name IS NOT NULL AND number = NEW.run;
    UPDATE tracked_run SET parent_id = NEW.parent_id WHERE NEW.parent_id IS NOT NULL AND number = NEW.run;
END;
