-- Servers that work on this database, each under an epoch of its own. What a server owns, another may take once its lease is over.
CREATE TABLE engine_server (
    epoch BIGINT PRIMARY KEY,
    -- The machine and the process, so that a server on the same machine need not wait for the lease of one that was killed.
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    started_ticks BIGINT NOT NULL,
    -- Of the folder that a server locks: whoever holds the lock knows that the servers before it are gone.
    state_id TEXT NOT NULL,
    state_folder TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- By the database's clock, microseconds since 1970; 0 when it has ended or was taken over.
    lease_until BIGINT NOT NULL
);

-- The epoch of the server whose task drives the run.
ALTER TABLE pipeline_run ADD COLUMN owner BIGINT NOT NULL DEFAULT 0;
