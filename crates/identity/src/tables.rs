//! The tables, and how a change of one organization begins.

use weir_core::TenantId;
use weir_store::records::{PlatformTable, Scope, TenantTable, Write};

use crate::Identity;
use crate::error::{Error, Result};

pub(crate) const CREDENTIAL_CHANGES: PlatformTable = PlatformTable::new("credential_changes");
pub(crate) const CREDENTIAL_FEED: PlatformTable = PlatformTable::new("credential_feed");
pub(crate) const IDEMPOTENCY_KEYS: PlatformTable = PlatformTable::new("idempotency_keys");
pub(crate) const INSTALLATION: PlatformTable = PlatformTable::new("installation");
pub(crate) const ORGANIZATIONS: PlatformTable = PlatformTable::new("organizations");
pub(crate) const USERS: PlatformTable = PlatformTable::new("users");
pub(crate) const SESSIONS: PlatformTable = PlatformTable::new("sessions");
pub(crate) const FORMER_SESSION_TOKENS: PlatformTable = PlatformTable::new("former_session_tokens");
pub(crate) const TOTP: PlatformTable = PlatformTable::new("totp");
pub(crate) const RECOVERY_CODES: PlatformTable = PlatformTable::new("recovery_codes");
pub(crate) const ONE_TIME_TOKENS: PlatformTable = PlatformTable::new("one_time_tokens");
pub(crate) const ERASURES: PlatformTable = PlatformTable::new("erasures");
pub(crate) const FAMILIAR_PLACES: PlatformTable = PlatformTable::new("familiar_places");
pub(crate) const THROTTLES: PlatformTable = PlatformTable::new("throttles");
pub(crate) const SIGNING_KEYS: PlatformTable = PlatformTable::new("signing_keys");
pub(crate) const REFRESH_FAMILIES: PlatformTable = PlatformTable::new("refresh_families");
pub(crate) const REVOCATIONS: PlatformTable = PlatformTable::new("revocations");
pub(crate) const MAIL_OUTBOX: PlatformTable = PlatformTable::new("mail_outbox");

pub(crate) const API_KEYS: TenantTable = TenantTable::new("api_keys");
pub(crate) const ROLES: TenantTable = TenantTable::new("roles");
pub(crate) const MEMBERSHIPS: TenantTable = TenantTable::new("memberships");
pub(crate) const INVITATIONS: TenantTable = TenantTable::new("invitations");
pub(crate) const ACCESS_POLICIES: TenantTable = TenantTable::new("access_policies");

/// What a person has in organizations.
pub(crate) const OF_MEMBERS: [TenantTable; 2] = [MEMBERSHIPS, API_KEYS];

/// What an organization has, and what goes and comes back with it.
pub(crate) const OWNED: [TenantTable; 5] =
    [MEMBERSHIPS, INVITATIONS, API_KEYS, ROLES, ACCESS_POLICIES];

impl Identity {
    /// Begins to change what an organization has.
    pub(crate) async fn begin(&self, tenant: &TenantId) -> Result<Write> {
        let mut write = self.records.write(&Scope::of(tenant)).await?;
        // The scope outlives the organization; asked once it is held, it cannot go meanwhile.
        let organization = ORGANIZATIONS.rows().select().with_id(tenant.id());
        match write.first(organization).await? {
            Some(_) => Ok(write),
            None => Err(Error::Missing("organization")),
        }
    }
}
