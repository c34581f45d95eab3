//! What somebody may do: a closed list.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// A right, written `thing:what`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum Permission {
            $($(#[$doc])* $name,)+
        }

        impl Permission {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

permissions! {
    /// To see the organization and its settings.
    OrganizationRead "organization:read",
    /// To change its name and settings.
    OrganizationWrite "organization:write",
    /// To delete it.
    OrganizationDelete "organization:delete",
    /// To see its members.
    MemberRead "member:read",
    /// To give members other roles, and to remove them.
    MemberWrite "member:write",
    /// To see its roles.
    RoleRead "role:read",
    /// To make, change and delete roles.
    RoleWrite "role:write",
    /// To see who was invited.
    InvitationRead "invitation:read",
    /// To invite, and to take invitations back.
    InvitationWrite "invitation:write",
    /// To see keys of programs, without what they are.
    ApiKeyRead "api_key:read",
    /// To make, change and revoke keys of programs, and to say what they may ask of routes.
    ApiKeyWrite "api_key:write",
    /// To see and export the audit.
    AuditRead "audit:read",
    /// To see what was deleted.
    TrashRead "trash:read",
    /// To bring back what was deleted.
    TrashWrite "trash:write",
    /// To remove for good what was deleted.
    TrashPurge "trash:purge",
    /// To see routes.
    RouteRead "route:read",
    /// To change routes.
    RouteWrite "route:write",
    /// To see upstreams.
    UpstreamRead "upstream:read",
    /// To change upstreams.
    UpstreamWrite "upstream:write",
    /// To see policies.
    PolicyRead "policy:read",
    /// To change policies.
    PolicyWrite "policy:write",
    /// To see certificates, without their keys.
    CertificateRead "certificate:read",
    /// To change certificates.
    CertificateWrite "certificate:write",
    /// To see revisions and what is different between them.
    RevisionRead "revision:read",
    /// To go back to an earlier revision.
    RevisionWrite "revision:write",
    /// To see which access policies hold, and what they say to whom.
    AccessPolicyRead "access_policy:read",
    /// To change access policies.
    AccessPolicyWrite "access_policy:write",
    /// Of the platform: to make organizations.
    OrganizationCreate "organization:create",
    /// Of the platform: to suspend organizations and to resume them.
    OrganizationSuspend "organization:suspend",
    /// Of the platform: to see the keys that sign tokens, without what is secret.
    SigningKeyRead "signing_key:read",
    /// Of the platform: to replace the keys that sign tokens, and to take them out.
    SigningKeyWrite "signing_key:write",
    /// Of the platform: to see everybody's account.
    UserRead "user:read",
    /// Of the platform: to make, change, suspend and delete accounts.
    UserWrite "user:write",
    /// Of the platform: to erase a person.
    UserErase "user:erase",
}

impl Permission {
    /// Whether it only means something to the platform's members.
    pub const fn is_of_platform(self) -> bool {
        matches!(
            self,
            Self::OrganizationCreate
                | Self::OrganizationSuspend
                | Self::SigningKeyRead
                | Self::SigningKeyWrite
                | Self::UserRead
                | Self::UserWrite
                | Self::UserErase
        )
    }

    /// Whether it only lets one look.
    pub fn is_read(self) -> bool {
        self.as_str().ends_with(":read")
    }
}

impl FromStr for Permission {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == text)
            .ok_or_else(|| Error::invalid("permissions", "has one that there is not"))
    }
}

impl TryFrom<String> for Permission {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Permission> for &'static str {
    fn from(permission: Permission) -> Self {
        permission.as_str()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Permission>", into = "Vec<Permission>")]
pub struct Permissions(u64);

impl Permissions {
    /// Every one.
    pub fn all() -> Self {
        Self::from_iter(Permission::ALL.iter().copied())
    }

    /// Those for which `choose` says so.
    pub(crate) fn that(choose: impl Fn(Permission) -> bool) -> Self {
        Self::from_iter(Permission::ALL.iter().copied().filter(|one| choose(*one)))
    }

    /// Whether it is among them.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// Whether all of `others` are among them.
    pub const fn includes(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether whoever has these rights in an organization may do this there.
    ///
    /// # Errors
    /// [`Error::Missing`] without any right: such an organization is answered like one that is not
    /// there. [`Error::Forbidden`] otherwise.
    pub fn allow(self, permission: Permission) -> Result<(), Error> {
        if self.has(permission) {
            Ok(())
        } else if self == Self::default() {
            Err(Error::Missing("organization"))
        } else {
            Err(Error::Forbidden("the caller's role does not allow this"))
        }
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        let has = move |permission: &Permission| self.has(*permission);
        Permission::ALL.iter().copied().filter(has)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(
            permissions
                .into_iter()
                .fold(0, |set, permission| set | 1 << permission as u32),
        )
    }
}

impl From<Vec<Permission>> for Permissions {
    fn from(permissions: Vec<Permission>) -> Self {
        permissions.into_iter().collect()
    }
}

impl From<Permissions> for Vec<Permission> {
    fn from(permissions: Permissions) -> Self {
        permissions.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_as_it_is_written() {
        assert!(Permission::ALL.len() <= 64);
        for permission in Permission::ALL {
            assert_eq!(
                permission.as_str().parse::<Permission>().unwrap(),
                *permission
            );
        }
        let set: Permissions = serde_json::from_str(r#"["role:read","member:read"]"#).unwrap();
        assert_eq!(
            serde_json::to_string(&set).unwrap(),
            r#"["member:read","role:read"]"#
        );
        assert!(set.has(Permission::RoleRead) && !set.has(Permission::RoleWrite));
        assert!(Permissions::all().includes(set) && !set.includes(Permissions::all()));
        assert!(serde_json::from_str::<Permissions>(r#"["*"]"#).is_err());
    }
}
