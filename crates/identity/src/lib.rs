//! Who there is and what they may do: organizations, people, their roles, and how they sign in.
//!
//! One service, [`Identity`], on the records: plain functions, of which each change takes the
//! [`Caller`] and tells the audit in the same transaction. What was typed by people is checked here
//! ([`Error::Invalid`] names the field), so that every surface refuses the same.
//!
//! What it does not do: it speaks no HTTP and sets no cookies, and it does not ask for each call
//! whether the caller may make it. A surface asks [`Identity::authorize`]; here it is held that nobody
//! gives a right that they do not have themselves, and that the last owner stays.

mod access;
mod access_token;
mod api_key;
mod audit;
mod caller;
mod credential_change;
mod credentials;
mod email;
mod email_change;
mod erase;
mod error;
mod familiar;
mod idempotency;
mod installation;
mod invitation;
mod mail;
mod membership;
mod one_time;
mod options;
mod organization;
mod page;
mod password;
mod permission;
mod proof;
mod reader;
mod refresh;
mod revocation;
mod rewrap;
mod role;
mod schema;
mod scope;
mod session;
mod settings;
mod setup;
mod sign_in;
mod signing_key;
mod tables;
mod text;
mod throttle;
mod token;
mod totp;
mod trash;
mod upkeep;
mod user;

pub use access::{AccessPolicy, AccessRules, Asked, Asker, Author, PersonWithRights};
pub use access_token::{Authentication, TYPE as ACCESS_TOKEN_TYPE};
pub use api_key::{
    ApiKey, ApiKeyFilter, ApiKeyOrder, ApiKeyUpdate, Expiry, Finder, KeyHolder, KeyOwner,
    KeyRefusal, LeakReport, MadeApiKey, NewApiKey, NoScopes, Rotated, Scopes,
};
pub use caller::Caller;
pub use credential_change::{CredentialChange, CredentialKind};
pub use email::Email;
pub use email_change::EmailChange;
pub use erase::{Certificate, ErasedChain};
pub use error::{Error, Result};
pub use idempotency::Remembered;
pub use installation::KeyState;
pub use invitation::{Invitation, Invited, NewMember, Offer};
pub use mail::{Delivered, MailOptions, MailTls};
pub use membership::{Belonging, Membership};
pub use options::{Identity, Options, SigningAlgorithm, TokenOptions};
pub use organization::{
    NewOrganization, Organization, OrganizationFilter, OrganizationOrder, OrganizationUpdate,
    standings,
};
pub use page::{Key, Listing, Page, Position};
pub use password::{Hashing, Password};
pub use permission::{Permission, Permissions};
pub use proof::Proof;
pub use refresh::{Family, Issued, Wanted};
pub use revocation::{Revocation, RevocationKind, Revocations, Shown};
pub use rewrap::Rewrapped;
pub use role::{Assigned, BuiltIn, NewRole, Role, RoleUpdate};
pub use scope::Scope;
pub use session::{Authenticated, Device, Session, SessionOptions, SignedIn, TokenState};
pub use settings::{Branding, Limits, Settings};
pub use setup::FirstOwner;
pub use sign_in::Step;
pub use signing_key::{Published, Rotation, SET_LIFETIME, SigningKey, Stage};
pub use totp::Enrolment;
pub use trash::{Purged, Trashed};
pub use user::{NewUser, User, UserFilter, UserOrder, UserUpdate};
