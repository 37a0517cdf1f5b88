CREATE TABLE deployment (
    endpoint TEXT NOT NULL,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    uri TEXT NOT NULL,
    digest TEXT NOT NULL,
    traffic BIGINT NOT NULL,
    sample DOUBLE PRECISION NOT NULL,
    run_id TEXT,
    step TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, name)
);
