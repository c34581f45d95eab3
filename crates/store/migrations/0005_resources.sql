-- Routes, upstreams and policies that are kept beside the configuration file, and how they came to be what
-- they are. Unique indexes are named TABLE_by_COLUMNS, without tenant_id.

CREATE TABLE resources (
    id {text} NOT NULL PRIMARY KEY,
    -- No reference: the installation's own organization may be made later than its first resource.
    tenant_id {text} NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    kind {text} NOT NULL,
    name {text} NOT NULL,
    -- JSON: what the file would say.
    document {text} NOT NULL,
    -- The revision that changed it last.
    revision BIGINT NOT NULL
);

CREATE UNIQUE INDEX resources_by_kind_name ON resources (tenant_id, kind, name) WHERE deleted_at IS NULL;
CREATE INDEX resources_in_trash ON resources (tenant_id, deleted_at, id) WHERE deleted_at IS NOT NULL;

CREATE TABLE revisions (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    number BIGINT NOT NULL,
    -- Who made it. The name stands with the person, so that it goes with the person.
    author_kind {text} NOT NULL,
    author_id {text},
    comment {text} NOT NULL,
    -- The revision that this one went back to.
    rolled_back_to BIGINT,
    changes BIGINT NOT NULL,
    -- SHA-256 over all resources as they are from then on.
    digest {text} NOT NULL
);

CREATE UNIQUE INDEX revisions_by_number ON revisions (number);

CREATE TABLE revision_changes (
    id {text} NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    deleted_with {text},
    version BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    kind {text} NOT NULL,
    name {text} NOT NULL,
    -- The documents; null where there was none, or is none any more.
    document_before {text},
    document_after {text}
);

CREATE UNIQUE INDEX revision_changes_by_revision_kind_name ON revision_changes (revision, kind, name);
