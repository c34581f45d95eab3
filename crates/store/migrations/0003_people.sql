-- How people sign in. Secrets are here as hashes, or sealed with the key of the installation.

CREATE TABLE sessions (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    user_id {text} NOT NULL REFERENCES users (id),
    -- SHA-256 of what the client holds.
    token_hash {bytes} NOT NULL,
    expires_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    -- From where it was opened.
    address {text},
    agent {text},
    -- Whether a second factor was shown.
    is_two_factor BIGINT NOT NULL
);

CREATE UNIQUE INDEX sessions_by_token_hash ON sessions (token_hash);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE totp (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    user_id {text} NOT NULL REFERENCES users (id),
    sealed_secret {bytes} NOT NULL,
    confirmed_at BIGINT,
    -- The time step of the last code that was taken: none before it is taken again.
    last_step BIGINT NOT NULL
);

CREATE UNIQUE INDEX totp_by_user_id ON totp (user_id);

CREATE TABLE recovery_codes (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    user_id {text} NOT NULL REFERENCES users (id),
    code_hash {bytes} NOT NULL,
    used_at BIGINT
);

CREATE INDEX recovery_codes_of_user ON recovery_codes (user_id);

CREATE TABLE one_time_tokens (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    kind {text} NOT NULL,
    token_hash {bytes} NOT NULL,
    user_id {text} REFERENCES users (id),
    -- What else it is about: an invitation, and whose it is; an address to verify.
    organization_id {text} REFERENCES organizations (id),
    invitation_id {text},
    email {text},
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE UNIQUE INDEX one_time_tokens_by_token_hash ON one_time_tokens (token_hash);
CREATE INDEX one_time_tokens_of_user ON one_time_tokens (user_id);
CREATE INDEX one_time_tokens_of_invitation ON one_time_tokens (invitation_id);
CREATE INDEX one_time_tokens_by_end ON one_time_tokens (expires_at);

-- Failed attempts to sign in, by account and by address.
CREATE TABLE throttles (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    -- What is counted, hashed: it may be an address that is nobody's.
    subject {bytes} NOT NULL,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    forgotten_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX throttles_by_subject ON throttles (subject);
CREATE INDEX throttles_by_end ON throttles (forgotten_at);

-- Mail that was not taken by the server yet.
CREATE TABLE mail_outbox (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    recipient {text} NOT NULL,
    -- Subject and text, sealed: links in it open accounts.
    sealed_message {bytes} NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error {text}
);

CREATE INDEX mail_outbox_by_turn ON mail_outbox (next_attempt_at);
