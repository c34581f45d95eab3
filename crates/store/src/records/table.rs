//! Tables, and what of them a query may see.

use weir_core::TenantId;

use super::select::Select;

/// A table whose rows belong to organizations.
///
/// Like every table it has the columns `id`, `created_at`, `updated_at`, `deleted_at` and `version`;
/// beside them `tenant_id`. It says nothing before it is told [of](Self::of) which tenant.
#[derive(Clone, Copy, Debug)]
pub struct TenantTable {
    pub(super) name: &'static str,
}

impl TenantTable {
    /// The table of this name, as a migration made it.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// What belongs to this tenant.
    pub fn of<'a>(&self, tenant: &'a TenantId) -> Rows<'a> {
        Rows {
            table: self.name,
            tenant: Some(tenant),
        }
    }

    /// A query for rows of every tenant, for what belongs to a person as well: in which organizations
    /// somebody is. It can only read.
    pub fn select_everywhere(&self) -> Select {
        Select::new(&Rows {
            table: self.name,
            tenant: None,
        })
    }
}

/// A table whose rows belong to nobody but the platform: organizations themselves, people.
#[derive(Clone, Copy, Debug)]
pub struct PlatformTable {
    pub(super) name: &'static str,
}

impl PlatformTable {
    /// The table of this name, as a migration made it.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// Everything in it.
    pub const fn rows(&self) -> Rows<'static> {
        Rows {
            table: self.name,
            tenant: None,
        }
    }
}

/// The rows of a table that one owner has.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub(super) table: &'static str,
    pub(super) tenant: Option<&'a TenantId>,
}

impl Rows<'_> {
    /// A query for those that are not in the trash.
    pub fn select(&self) -> Select {
        Select::new(self)
    }
}
