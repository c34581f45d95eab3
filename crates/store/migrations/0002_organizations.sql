-- Organizations and their people. Unique indexes are named TABLE_by_COLUMNS, without tenant_id.

CREATE TABLE organizations (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    slug {text} NOT NULL,
    name {text} NOT NULL,
    -- JSON: branding, feature flags, limits.
    settings {text} NOT NULL,
    suspended_at BIGINT,
    suspension_reason {text}
);

CREATE UNIQUE INDEX organizations_by_slug ON organizations (slug) WHERE deleted_at IS NULL;
CREATE INDEX organizations_in_order ON organizations (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX organizations_in_slug_order ON organizations (slug, id) WHERE deleted_at IS NULL;
CREATE INDEX organizations_in_name_order ON organizations (name, id) WHERE deleted_at IS NULL;
CREATE INDEX organizations_in_trash ON organizations (deleted_at, id) WHERE deleted_at IS NOT NULL;

CREATE TABLE users (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    -- In lower case.
    email {text} NOT NULL,
    email_verified_at BIGINT,
    name {text} NOT NULL,
    -- In the PHC string format.
    password_hash {text},
    suspended_at BIGINT,
    suspension_reason {text}
);

CREATE UNIQUE INDEX users_by_email ON users (email) WHERE deleted_at IS NULL;
CREATE INDEX users_in_email_order ON users (email, id) WHERE deleted_at IS NULL;
CREATE INDEX users_in_order ON users (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX users_in_trash ON users (deleted_at, id) WHERE deleted_at IS NOT NULL;

CREATE TABLE roles (
    id {text} NOT NULL PRIMARY KEY,
    tenant_id {text} NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    name {text} NOT NULL,
    description {text} NOT NULL,
    -- JSON: a list of permissions.
    permissions {text} NOT NULL
);

CREATE UNIQUE INDEX roles_by_name ON roles (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX roles_in_order ON roles (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX roles_in_trash ON roles (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

CREATE TABLE memberships (
    id {text} NOT NULL PRIMARY KEY,
    tenant_id {text} NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    user_id {text} NOT NULL REFERENCES users (id),
    -- Of a role of the organization, or of one that every organization has.
    role {text} NOT NULL
);

CREATE UNIQUE INDEX memberships_by_user_id ON memberships (tenant_id, user_id) WHERE deleted_at IS NULL;
CREATE INDEX memberships_of_user ON memberships (user_id);
CREATE INDEX memberships_in_order ON memberships (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX memberships_in_trash ON memberships (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

CREATE TABLE invitations (
    id {text} NOT NULL PRIMARY KEY,
    tenant_id {text} NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    email {text} NOT NULL,
    role {text} NOT NULL,
    -- Null if it was nobody with an account. It stays when that person is erased, and names nobody then.
    invited_by {text},
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT
);

CREATE UNIQUE INDEX invitations_by_email ON invitations (tenant_id, email)
    WHERE deleted_at IS NULL AND accepted_at IS NULL;
CREATE INDEX invitations_in_order ON invitations (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX invitations_in_trash ON invitations (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
