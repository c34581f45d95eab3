-- Keys of programs, and what nodes hear of credentials that count no more.

CREATE TABLE api_keys (
    id {text} NOT NULL PRIMARY KEY,
    tenant_id {text} NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    name {text} NOT NULL,
    -- Whose key it is; null if it is the organization's own.
    user_id {text} REFERENCES users (id),
    -- Who made it: a person or another key. It stays when that one is gone, and names nobody then.
    created_by {text},
    -- What finds the row; it opens nothing.
    public_part {text} NOT NULL,
    -- SHA-256 of the whole key.
    key_hash {bytes} NOT NULL,
    -- JSON: a list of permissions, of Weir itself.
    permissions {text} NOT NULL,
    -- JSON: a list of scopes, which routes ask for.
    scopes {text} NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    last_used_address {text},
    revoked_at BIGINT,
    -- When somebody first showed that they had found it.
    leaked_at BIGINT,
    -- The key that took its place.
    replaced_by {text}
);

CREATE UNIQUE INDEX api_keys_by_public_part ON api_keys (public_part);
CREATE INDEX api_keys_of_user ON api_keys (user_id, created_at, id);
CREATE INDEX api_keys_in_order ON api_keys (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX api_keys_in_name_order ON api_keys (tenant_id, name, id) WHERE deleted_at IS NULL;
CREATE INDEX api_keys_in_trash ON api_keys (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

-- One row, whose version is the number of the last change. Whoever notes a change holds it until the commit, so that numbers
-- are seen in their order.
CREATE TABLE credential_feed (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL
);

INSERT INTO credential_feed (id, created_at, updated_at, version)
    VALUES ('fed_00000000000000000000000000', 0, 0, 1);

-- What nodes must not believe any longer; kept for longer than anything is believed without a look.
CREATE TABLE credential_changes (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    kind {text} NOT NULL,
    subject {text} NOT NULL
);

CREATE UNIQUE INDEX credential_changes_by_sequence ON credential_changes (sequence);
CREATE INDEX credential_changes_by_time ON credential_changes (created_at);
