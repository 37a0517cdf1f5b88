-- Permissions under a name, which accounts are given together.
CREATE TABLE account_role (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    description TEXT
);

CREATE TABLE role_grant (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    role_id BIGINT NOT NULL REFERENCES account_role (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    permission TEXT NOT NULL,
    UNIQUE (role_id, kind, object)
);
CREATE INDEX role_grant_on_object ON role_grant (kind, object);

CREATE TABLE role_member (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    role_id BIGINT NOT NULL REFERENCES account_role (id) ON DELETE CASCADE,
    account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    UNIQUE (account_id, role_id)
);
CREATE INDEX role_member_of_role ON role_member (role_id);
