-- What the admin API keeps for itself.

-- One row: by which key secrets of this installation are sealed.
CREATE TABLE installation (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    -- Derived from the key; the key cannot be derived from it.
    key_fingerprint {bytes} NOT NULL
);

-- Requests with an Idempotency-Key that took effect.
CREATE TABLE idempotency_keys (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    -- SHA-256 of whose key it is, and of the key.
    key_hash {bytes} NOT NULL,
    -- SHA-256 of the request.
    fingerprint {bytes} NOT NULL,
    -- What was made.
    subject_id {text},
    -- The answer, once it is known; sealed, since it may show something that is told once.
    sealed_answer {bytes},
    expires_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX idempotency_keys_by_key_hash ON idempotency_keys (key_hash);
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);
