-- Rules of an organization, or of the platform, on who may use the admin API.

CREATE TABLE access_policies (
    id {text} NOT NULL PRIMARY KEY,
    tenant_id {text} NOT NULL REFERENCES organizations (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    name {text} NOT NULL,
    -- In the Cedar language.
    rules {text} NOT NULL
);

CREATE UNIQUE INDEX access_policies_by_name ON access_policies (tenant_id, name) WHERE deleted_at IS NULL;
CREATE INDEX access_policies_in_order ON access_policies (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX access_policies_in_trash ON access_policies (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
-- All that an organization has, live or in the trash, goes when it is purged.
CREATE INDEX access_policies_of_organization ON access_policies (tenant_id);
