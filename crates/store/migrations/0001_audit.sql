-- Who did what: one chain for the platform and one for each organization.

-- The end of each chain. Whoever changes something of a scope holds its row until the commit.
CREATE TABLE scopes (
    id {text} NOT NULL PRIMARY KEY,
    audit_sequence BIGINT NOT NULL,
    audit_hash {bytes} NOT NULL,
    -- The time of the last entry: no later one has an earlier time, whatever the clock does.
    audit_at BIGINT NOT NULL
);

INSERT INTO scopes (id, audit_sequence, audit_hash, audit_at) VALUES ('platform', 0, {no_hash}, 0);

CREATE TABLE audit (
    scope {text} NOT NULL REFERENCES scopes (id),
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind {text} NOT NULL,
    actor_id {text},
    action {text} NOT NULL,
    subject_kind {text} NOT NULL,
    subject_id {text},
    request_id {text},
    -- Name, address and program of the actor: JSON; null once it was erased.
    origin {text},
    origin_salt {bytes},
    origin_hash {bytes} NOT NULL,
    -- What the subject was before and after: JSON; null once it was erased.
    change {text},
    change_salt {bytes},
    change_hash {bytes} NOT NULL,
    -- The entry of this chain that tells of the erasure.
    erased_by BIGINT,
    hash {bytes} NOT NULL,
    PRIMARY KEY (scope, sequence)
);

CREATE INDEX audit_by_actor ON audit (scope, actor_id, sequence);
CREATE INDEX audit_by_subject ON audit (scope, subject_id, sequence);
CREATE INDEX audit_by_action ON audit (scope, action, sequence);
CREATE INDEX audit_by_time ON audit (scope, at, sequence);
