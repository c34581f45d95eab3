-- Who is let in while others guess, and what is found by an address.

-- Networks from which somebody has signed in lately.
CREATE TABLE familiar_places (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    user_id {text} NOT NULL REFERENCES users (id),
    -- SHA-256 of the account's address and the network.
    place_hash {bytes} NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX familiar_places_by_place_hash ON familiar_places (place_hash);
CREATE INDEX familiar_places_of_user ON familiar_places (user_id, expires_at, id);
CREATE INDEX familiar_places_by_end ON familiar_places (expires_at);

-- The account that is counted together with a network, hashed; null where it is not.
ALTER TABLE throttles ADD COLUMN account {bytes};
CREATE INDEX throttles_of_account ON throttles (account);

CREATE INDEX invitations_of_email ON invitations (email);
CREATE INDEX invitations_in_email_order ON invitations (tenant_id, email, id) WHERE deleted_at IS NULL;
CREATE INDEX one_time_tokens_of_email ON one_time_tokens (email);
CREATE INDEX mail_outbox_of_recipient ON mail_outbox (recipient);

-- Erasures that are under way: whoever finds one that nobody goes on with does.
CREATE TABLE erasures (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    -- Whom, and how far it is; sealed, since it names the person.
    sealed_state {bytes} NOT NULL,
    -- Until when it belongs to the node that goes on with it.
    leased_until BIGINT NOT NULL
);
