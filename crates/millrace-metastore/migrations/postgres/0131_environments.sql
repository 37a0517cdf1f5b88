-- Which run has an exclusive environment. A row holds as long as its run is open and no longer, so that nothing has to be given back:
-- no kill leaves an environment taken.
CREATE TABLE environment_hold (
    environment TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    step TEXT NOT NULL,
    taken_at BIGINT NOT NULL
);
