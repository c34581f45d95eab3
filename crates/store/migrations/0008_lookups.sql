-- What is looked for in the trash as well: a slug stays its organization's until that is purged, and whoever is erased
-- by address may have been deleted before.

CREATE INDEX organizations_in_trash_by_slug ON organizations (slug) WHERE deleted_at IS NOT NULL;
CREATE INDEX users_of_email ON users (email);

-- Lists by standing: of many people, few are suspended.
CREATE INDEX users_suspended ON users (created_at, id) WHERE deleted_at IS NULL AND suspended_at IS NOT NULL;

-- Sessions that nobody uses any more.
CREATE INDEX sessions_by_use ON sessions (last_seen_at);

-- All that an organization has, live or in the trash, goes when it is purged.
CREATE INDEX roles_of_organization ON roles (tenant_id);
CREATE INDEX memberships_of_organization ON memberships (tenant_id);
CREATE INDEX invitations_of_organization ON invitations (tenant_id);
CREATE INDEX one_time_tokens_of_organization ON one_time_tokens (organization_id);
