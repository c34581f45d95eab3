-- Keys that sign tokens, refresh tokens, and what is revoked before its time.

-- Fingerprints of keys that the present one has taken the place of: JSON, a list in hexadecimal.
ALTER TABLE installation ADD COLUMN former_fingerprints {text};
-- When everything was seen to be sealed under the present key; null if that is still to be done.
ALTER TABLE installation ADD COLUMN rewrapped_at BIGINT;

CREATE TABLE signing_keys (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    -- How tokens name it (RFC 7515 section 4.1.4).
    kid {text} NOT NULL,
    -- As in RFC 7518 section 3.1.
    algorithm {text} NOT NULL,
    -- JSON: a JWK (RFC 7517) without what is private.
    public_jwk {text} NOT NULL,
    -- PKCS #8; null once it signs no more.
    sealed_key {bytes},
    active_from BIGINT NOT NULL,
    -- It signs no more from here on; null while nothing is to take its place.
    retired_at BIGINT,
    -- It is in the published set no more from here on.
    removed_at BIGINT,
    -- When it was taken out at once, since somebody else may have it.
    revoked_at BIGINT
);

CREATE UNIQUE INDEX signing_keys_by_kid ON signing_keys (kid);
CREATE INDEX signing_keys_in_order ON signing_keys (created_at, id);

-- What a login, or a service, may go on with once its access token has run out.
CREATE TABLE refresh_families (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    user_id {text} NOT NULL REFERENCES users (id),
    -- With which it ends; null for one that stays when its session ends.
    session_id {text},
    -- For which organization its tokens are; null for none.
    organization_id {text} REFERENCES organizations (id),
    client_id {text} NOT NULL,
    audience {text} NOT NULL,
    -- Separated by spaces (RFC 6749 section 3.3).
    scope {text} NOT NULL,
    -- When, and by what, somebody has signed in: seconds since 1970, and words of RFC 8176 separated by spaces.
    auth_time BIGINT NOT NULL,
    amr {text} NOT NULL,
    -- SHA-256 of what all tokens of the family have in common: known again by it, whatever their generation.
    mark_hash {bytes} NOT NULL,
    generation BIGINT NOT NULL,
    -- SHA-256 of the token that is good now, and of the one before it.
    token_hash {bytes} NOT NULL,
    previous_hash {bytes},
    -- Until when the one before it is answered with its successor, which is sealed.
    previous_until BIGINT,
    sealed_successor {bytes},
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    -- From where it was begun.
    address {text},
    agent {text},
    revoked_at BIGINT,
    -- A word for it.
    revoked_why {text}
);

CREATE UNIQUE INDEX refresh_families_by_mark_hash ON refresh_families (mark_hash);
CREATE INDEX refresh_families_of_user ON refresh_families (user_id, created_at, id);
CREATE INDEX refresh_families_of_session ON refresh_families (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX refresh_families_of_organization ON refresh_families (organization_id)
    WHERE organization_id IS NOT NULL;
CREATE INDEX refresh_families_by_end ON refresh_families (expires_at);
CREATE INDEX refresh_families_in_grace ON refresh_families (previous_until) WHERE previous_until IS NOT NULL;

-- What nodes refuse although its time is not over. Unlike what it is about, it goes by itself.
CREATE TABLE revocations (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    -- token, family, user or key.
    kind {text} NOT NULL,
    -- Of that kind: the jti of a token, the identifier of a family or a user, the kid of a key.
    subject {text} NOT NULL,
    -- What was issued until then is refused, in whole seconds since 1970.
    issued_until BIGINT NOT NULL,
    -- When the last token that it is about is over.
    expires_at BIGINT NOT NULL
);

CREATE INDEX revocations_in_order ON revocations (created_at, id);
CREATE INDEX revocations_by_end ON revocations (expires_at);
CREATE INDEX revocations_of_subject ON revocations (kind, subject);
