-- Who may log in. Names are compared as they are written.
CREATE TABLE account (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- In the format of the Password Hashing Competition.
    password_hash TEXT NOT NULL,
    is_admin BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- A token is random, so that its digest needs no salt.
CREATE TABLE account_token (
    id TEXT NOT NULL PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE INDEX account_token_of_account ON account_token (account_id);

-- What an account may do with an experiment, a model or a prompt; `*` for all of its kind.
CREATE TABLE account_grant (
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (account_id, kind, object)
);
CREATE INDEX account_grant_on_object ON account_grant (kind, object);
