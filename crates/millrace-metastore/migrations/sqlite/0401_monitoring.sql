CREATE TABLE monitor_result (
    id TEXT PRIMARY KEY,
    monitor TEXT NOT NULL,
    run_id TEXT NOT NULL,
    step TEXT NOT NULL,
    observed_at BIGINT NOT NULL,
    drifted BIGINT NOT NULL,
    drifted_columns BIGINT NOT NULL,
    columns_total BIGINT NOT NULL,
    reference_data TEXT NOT NULL,
    current_data TEXT NOT NULL,
    report TEXT NOT NULL
);
CREATE INDEX monitor_result_newest ON monitor_result (monitor, observed_at DESC, id);

CREATE TABLE alert_state (
    rule TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    document TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE alert_transition (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    happened_at BIGINT NOT NULL,
    number DOUBLE PRECISION,
    threshold DOUBLE PRECISION NOT NULL
);
CREATE INDEX alert_transition_newest ON alert_transition (rule, happened_at DESC, id);

CREATE TABLE alert_outbox (
    id TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    delivered_at BIGINT,
    dead BIGINT NOT NULL,
    error TEXT
);
CREATE INDEX alert_outbox_due ON alert_outbox (delivered_at, dead, next_at);
