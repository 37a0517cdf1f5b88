-- What people are asked: by an `approve` step, or by the rules of an environment. About the content with this digest and no other.
-- Instants are microseconds since 1970, UTC. Documents are JSON of the orchestration room.
CREATE TABLE approval (
    id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES pipeline_run (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    pipeline TEXT NOT NULL,
    -- Whose rules ask; NULL for an `approve` step.
    environment TEXT,
    subject TEXT NOT NULL,
    digest TEXT NOT NULL,
    -- The author of the run, if a person started it.
    asked_by TEXT,
    rule TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    form TEXT,
    asked_at BIGINT NOT NULL,
    deadline BIGINT,
    escalated_at BIGINT,
    decided_at BIGINT,
    -- Counts changes; the step that waits notes which it has seen, so that a change made by another process is not missed.
    revision BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    UNIQUE (run_id, step, attempt)
);
CREATE INDEX approval_newest ON approval (asked_at DESC, id DESC);
CREATE INDEX approval_waiting ON approval (asked_at DESC, id DESC) WHERE state = 'waiting';
CREATE INDEX approval_due ON approval (deadline) WHERE state = 'waiting';
CREATE INDEX approval_unseen ON approval (id) WHERE seen < revision;

CREATE TABLE approval_decision (
    approval_id TEXT NOT NULL REFERENCES approval (id) ON DELETE CASCADE,
    decided_by TEXT NOT NULL,
    approves BIGINT NOT NULL,
    -- As what: the approvers that the person was one of, JSON.
    standing TEXT NOT NULL,
    comment TEXT NOT NULL,
    -- `api` or `command`.
    via TEXT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (approval_id, decided_by)
);
