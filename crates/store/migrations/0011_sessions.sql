-- Tokens of sessions are replaced now and then; what takes a former one's place a moment too late is told.

-- From when on a session's token is to be replaced.
ALTER TABLE sessions ADD COLUMN rotate_at BIGINT NOT NULL DEFAULT 0;

CREATE TABLE former_session_tokens (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    user_id {text} NOT NULL REFERENCES users (id),
    session_id {text} NOT NULL,
    -- SHA-256 of what the client held.
    token_hash {bytes} NOT NULL,
    -- From this and the former token its successor is made; null if whoever shows the former one is not to have it.
    salt {bytes},
    works_until BIGINT NOT NULL,
    -- When the session ends at the latest.
    expires_at BIGINT NOT NULL,
    -- When the audit was told that it was shown too late.
    told_at BIGINT
);

CREATE UNIQUE INDEX former_session_tokens_by_token_hash ON former_session_tokens (token_hash);
CREATE INDEX former_session_tokens_of_user ON former_session_tokens (user_id);
CREATE INDEX former_session_tokens_by_end ON former_session_tokens (expires_at);
