//! What is asked.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;

/// May this principal do that, now?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// What they want to do, and to what.
    pub target: Target<'a>,
    /// When they ask.
    pub now: Timestamp,
    /// From where. Without it, a rule that reads the address cannot be evaluated, which denies.
    pub address: Option<IpAddr>,
    /// How they proved who they are.
    pub strength: Strength,
    /// What recent failures of the same address come to: 0 none … 100. More counts as 100.
    pub risk: u8,
}

/// Who asks. What a schema does not know of, such as permissions at the gateway, is not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Principal<'a> {
    /// What they are.
    pub kind: Kind,
    /// As whoever vouches for them knows them.
    pub id: &'a str,
    /// Who vouches for them, if that is not this installation: `issuer|id` is what a policy knows
    /// them by then, so that equal names of two issuers are two principals.
    pub issuer: Option<&'a str>,
    /// The organization that they belong to.
    pub tenant: Option<&'a str>,
    /// The address by which people know them.
    pub name: Option<&'a str>,
    /// What the credential is good for.
    pub scopes: &'a [&'a str],
    /// Their roles.
    pub roles: &'a [&'a str],
    /// What their roles give them where they ask; of the admin API.
    pub permissions: &'a [&'a str],
    /// What else is said of them, each value as text. Of two with one name, the latter counts.
    pub claims: &'a [(&'a str, &'a str)],
}

/// What somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Somebody with an account here.
    User,
    /// A key of the installation.
    ApiKey,
    /// The subject of a token: of another issuer, or a machine.
    Client,
    /// The holder of a client certificate.
    Certificate,
    /// Nobody known.
    #[default]
    Anonymous,
    /// Whoever has the operator's token; of the admin API.
    Operator,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::User,
        Self::ApiKey,
        Self::Client,
        Self::Certificate,
        Self::Anonymous,
        Self::Operator,
    ];

    /// As it is written in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ApiKey => "ApiKey",
            Self::Client => "Client",
            Self::Certificate => "Certificate",
            Self::Anonymous => "Anonymous",
            Self::Operator => "Operator",
        }
    }
}

/// What somebody wants to do, and to what.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// To send a request to a route.
    Request {
        /// As the request has it. Methods are case-sensitive (RFC 9110 §9.1).
        method: &'a str,
        /// In lower case.
        host: &'a str,
        /// Normalised.
        path: &'a str,
        /// The route that it belongs to.
        route: Route<'a>,
    },
    /// To use a permission.
    Administration {
        /// As it is written, such as `route:write`.
        permission: &'a str,
        /// Where.
        organization: Organization<'a>,
    },
}

/// A route, as it is configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route<'a> {
    /// Its name.
    pub name: &'a str,
    /// The host that it is for, if it names one.
    pub host: Option<&'a str>,
    /// The path that it is for, as it is written.
    pub path: &'a str,
    /// The organization that it belongs to.
    pub tenant: Option<&'a str>,
}

/// An organization, or the platform.
#[derive(Clone, Copy, Debug)]
pub struct Organization<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// Its name in addresses.
    pub slug: &'a str,
    /// Whether it is the installation itself.
    pub is_platform: bool,
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strength {
    /// Not at all.
    #[default]
    None,
    /// By a password.
    Password,
    /// By an API key.
    Key,
    /// By a token of which no more is known.
    Token,
    /// By a client certificate.
    Certificate,
    /// By two factors.
    TwoFactor,
}

impl Strength {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Password,
        Self::Key,
        Self::Token,
        Self::Certificate,
        Self::TwoFactor,
    ];

    /// As policies know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::Key => "key",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::TwoFactor => "two_factor",
        }
    }

    /// For comparisons: 0 none … 3 two factors.
    pub const fn level(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Password | Self::Key | Self::Token => 1,
            Self::Certificate => 2,
            Self::TwoFactor => 3,
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// There is no such strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a strength is one of none, password, key, token, certificate, two_factor")]
pub struct UnknownStrength;

impl FromStr for Strength {
    type Err = UnknownStrength;

    fn from_str(text: &str) -> Result<Self, UnknownStrength> {
        let named = Self::ALL.into_iter().find(|one| one.as_str() == text);
        named.ok_or(UnknownStrength)
    }
}
