-- What is to be told of runs: that one is over (`ended`), or that it goes on beyond its deadline (`late`), when that is due.
CREATE TABLE run_notice (
    run_id TEXT NOT NULL,
    event TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (run_id, event)
);
CREATE INDEX run_notice_due ON run_notice (due_at);
