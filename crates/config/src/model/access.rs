//! Who is calling, what they must be, and what the upstream hears of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use weir_authorization::Compiled;
use weir_core::Secret;
use weir_jose::remote::RemoteKeys;
use weir_jose::{Algorithm, KeySet, Revoked, SigningKey};
use weir_signatures::UsersFile;

use super::Material;

/// Verifies JSON Web Tokens (RFC 7519).
#[derive(Clone, Debug, PartialEq)]
pub struct Jwt {
    /// Who may have issued them; at least one, each once.
    pub issuers: Vec<Issuer>,
    /// Where they are in a request.
    pub place: TokenPlace,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// Whether only what says it is an access token is one (RFC 9068 §4).
    pub is_strict: bool,
    /// Claims that say what the caller may do.
    pub claims: ClaimNames,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

/// Somebody who issues tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// What `iss` must say. Of this installation's own tokens, whoever puts in their keys puts it in as well.
    pub issuer: String,
    /// One of which must be in `aud`; `None` if it is not looked at.
    pub audiences: Option<Vec<String>>,
    /// Keys that its signatures are checked with.
    pub keys: Keys,
    /// The only algorithms of keys that count; empty: those of the keys.
    pub algorithms: Vec<Algorithm>,
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum Keys {
    /// These.
    Set(Arc<KeySet>),
    /// What the issuer publishes.
    Published(Box<PublishedKeys>),
    /// Those by which this installation signs: put in by whoever has them, before the configuration is used.
    Own(Option<OwnKeys>),
}

/// What this installation says of its own tokens.
#[derive(Clone, Debug)]
pub struct OwnKeys {
    /// What they are signed with.
    pub keys: RemoteKeys,
    /// Which of them are taken back.
    pub revoked: Revoked,
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        let keys = |set: &KeySet| {
            let keys = set.keys().iter();
            let facts = keys.map(|key| (key.kid().cloned(), key.id(), key.algorithm()));
            facts.collect::<Vec<_>>()
        };
        match (self, other) {
            (Self::Set(one), Self::Set(other)) => keys(one) == keys(other),
            (Self::Published(one), Self::Published(other)) => one == other,
            // There is one installation.
            (Self::Own(_), Self::Own(_)) => true,
            _ => false,
        }
    }
}

/// Keys that an issuer publishes, followed beside the data plane.
#[derive(Clone, Debug)]
pub struct PublishedKeys {
    /// Where they are.
    pub source: PublishedAt,
    /// Networks that may be reached beside the public internet.
    pub allow: Vec<IpNet>,
    /// PEM bundle of the authorities of its certificate; the system's without one.
    pub authorities: Option<Arc<[u8]>>,
    /// From one look to the next, if the answer does not say.
    pub refresh: Duration,
    /// How long the last keys are used without the issuer.
    pub stale: Duration,
    /// Least time between two questions for unknown keys.
    pub damping: Duration,
    /// Longest time for one look.
    pub timeout: Duration,
    /// What is known of them: put in by whoever follows the issuer, before the configuration is used.
    pub followed: Option<RemoteKeys>,
}

/// What is known of them is no setting.
impl PartialEq for PublishedKeys {
    fn eq(&self, other: &Self) -> bool {
        let times = |one: &Self| [one.refresh, one.stale, one.damping, one.timeout];
        self.source == other.source
            && self.allow == other.allow
            && self.authorities == other.authorities
            && times(self) == times(other)
    }
}

impl PublishedKeys {
    /// With the settings that hold where none are written.
    pub(crate) fn at(source: PublishedAt) -> Self {
        Self {
            source,
            allow: Vec::new(),
            authorities: None,
            refresh: Duration::from_secs(600),
            stale: Duration::from_secs(86_400),
            damping: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            followed: None,
        }
    }
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishedAt {
    /// At this URL.
    Url(String),
    /// Where the metadata of this issuer says.
    Issuer(String),
}

/// Where a token is in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer,
    /// A field of its own, without a scheme.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
}

/// Claims with a meaning of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// Who it is.
    pub subject: ClaimPath,
    /// Scopes: a list, or one text with spaces (RFC 8693 §4.2). The first that is there counts.
    pub scopes: Vec<ClaimPath>,
    /// Roles: the same.
    pub roles: Vec<ClaimPath>,
}

/// A claim: a member at the top, or a place below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath {
    /// As written.
    pub text: String,
    /// Names of members, from the top.
    pub steps: Vec<String>,
}

impl ClaimPath {
    /// A JSON Pointer (RFC 6901) if it begins with a slash, and otherwise the name of a member at the top, whatever
    /// characters it has: names of claims are often addresses. `None` for a pointer with an empty step.
    pub fn of(text: &str) -> Option<Self> {
        let Some(pointer) = text.strip_prefix('/') else {
            return Some(Self::top(text));
        };
        let steps: Vec<String> = pointer
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect();
        let is_whole = steps.iter().all(|step| !step.is_empty());
        is_whole.then(|| Self {
            text: text.to_owned(),
            steps,
        })
    }

    /// A member at the top.
    pub fn top(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            steps: vec![name.to_owned()],
        }
    }
}

/// What holds for credentials of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whether requests without one are refused. One that is there must be good in any case.
    pub is_required: bool,
    /// Whether the upstream gets it.
    pub is_forwarded: bool,
}

/// Takes tokens that only the server understands that issued them, and asks it (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// URL of the server's introspection endpoint.
    pub endpoint: String,
    /// As whom it is asked.
    pub client_id: String,
    /// The secret of that client.
    pub client_secret: Secret<String>,
    /// How both are sent.
    pub authentication: ClientAuthentication,
    /// What `iss` of an answer must say; `None` if it is not looked at.
    pub issuer: Option<String>,
    /// One of which must be in `aud`; `None` if it is not looked at.
    pub audiences: Option<Vec<String>>,
    /// Networks that may be reached beside the public internet.
    pub allow: Vec<IpNet>,
    /// PEM bundle of the authorities of its certificate; the system's without one.
    pub authorities: Option<Arc<[u8]>>,
    /// Longest time for one question.
    pub timeout: Duration,
    /// Most questions under way at once.
    pub at_once: usize,
    /// How long an answer is believed.
    pub cache: Duration,
    /// How much longer it is believed while the server cannot be asked.
    pub stale: Duration,
    /// Where tokens are in a request.
    pub place: TokenPlace,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// Claims that say what the caller may do.
    pub claims: ClaimNames,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

/// How a client shows who it is to the server that it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// In `Authorization: Basic`.
    Basic,
    /// In the form.
    Post,
}

/// Takes API keys of organizations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The field that holds the key, if `Authorization` does not.
    pub header: HeaderName,
    /// Slugs of the only organizations whose keys count; empty: all.
    pub organizations: Vec<String>,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

impl ApiKey {
    /// Whether keys of this organization count.
    pub fn takes(&self, organization: Option<&str>) -> bool {
        self.organizations.is_empty()
            || organization.is_some_and(|one| self.organizations.iter().any(|taken| taken == one))
    }
}

/// Takes sessions that began on the sign-in pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where browsers are sent that show none: a path of the host that was asked, perhaps with a query. `None`: nowhere.
    pub sign_in: Option<String>,
    /// Slug of the only organization whose members count; what they may do is what they may do there.
    pub organization: Option<String>,
    /// Whether a password alone is not enough.
    pub needs_second_factor: bool,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

/// Takes names and passwords (RFC 7617).
#[derive(Clone, Debug)]
pub struct Basic {
    /// Who they are held against.
    pub users: Arc<UsersFile>,
    /// What the users were read from: two files are the same if it is.
    pub file: Material,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

impl PartialEq for Basic {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.credential == other.credential
    }
}

/// Takes the certificates that clients show and listeners have verified. If nothing is listed, each of them is
/// good; otherwise those of which one thing is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mtls {
    /// Subjects as RFC 4514 writes them.
    pub subjects: Vec<String>,
    /// SHA-256 of whole certificates, in lower-case hexadecimal digits.
    pub fingerprints: Vec<String>,
    /// Names that certificates are for.
    pub names: Vec<CertificateName>,
    /// What says who it is.
    pub subject: CertificateFact,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

/// A name that a certificate is for (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// In lower case.
    Dns(String),
    /// To the letter, such as a SPIFFE ID.
    Uri(String),
    /// To the letter.
    Email(String),
    /// An IP address.
    Address(IpAddr),
}

/// What a certificate says of who shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFact {
    /// The whole subject.
    Subject,
    /// The subject's common name; the last if there are several.
    CommonName,
    /// The first DNS name that it is for.
    Dns,
    /// The first URI that it is for.
    Uri,
    /// The first address that it is for.
    Email,
    /// SHA-256 of the certificate.
    Fingerprint,
}

/// Several ways to say who is calling, of which one is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyOf {
    /// Indices of policies that identify, in the order in which they are tried.
    pub policies: Vec<usize>,
    /// Whether requests without any credential are refused.
    pub is_required: bool,
}

/// What somebody who calls must be.
#[derive(Clone, Debug, Default)]
pub struct Require {
    /// All of these scopes.
    pub scopes: Vec<String>,
    /// One of these roles; none asked for if empty.
    pub roles: Vec<String>,
    /// All of these claims.
    pub claims: Vec<ClaimRule>,
    /// Rules that must permit it.
    pub cedar: Option<Arc<Compiled>>,
}

impl Require {
    /// Whether nobody unknown can be that.
    pub fn asks_for_somebody(&self) -> bool {
        !(self.scopes.is_empty() && self.roles.is_empty() && self.claims.is_empty())
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
            && self.roles.is_empty()
            && self.claims.is_empty()
            && self.cedar.is_none()
    }
}

/// What a claim must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimRule {
    /// Which one.
    pub claim: ClaimPath,
    /// One of these, as text; of a list one member is enough. Empty: anything but `null`.
    pub values: Vec<String>,
}

/// What the upstream hears of who is calling, in fields that no client can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// Which field says what; each once.
    pub fields: Vec<(HeaderName, IdentityFact)>,
    /// A token that says the same.
    pub token: Option<Arc<InternalToken>>,
}

/// A short-lived token for upstreams, which only Weir can make.
#[derive(Clone, Debug)]
pub struct InternalToken {
    /// The field that holds it; `authorization`: as a bearer token, in place of what the client sent.
    pub header: HeaderName,
    /// For whom it is; at least one.
    pub audiences: Vec<String>,
    /// How long it is good for.
    pub lifetime: Duration,
    /// Claims of whoever calls that it repeats.
    pub claims: Vec<ClaimPath>,
    /// Its `iss`, if `key` signs.
    pub issuer: Option<String>,
    /// What signs; the installation's keys without one.
    pub key: Option<Arc<SigningKey>>,
}

impl PartialEq for InternalToken {
    fn eq(&self, other: &Self) -> bool {
        let key = |token: &Self| token.key.as_ref().map(|key| key.id());
        self.header == other.header
            && self.audiences == other.audiences
            && self.lifetime == other.lifetime
            && self.claims == other.claims
            && self.issuer == other.issuer
            && key(self) == key(other)
    }
}

impl Eq for InternalToken {}

/// What can be said of who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityFact {
    /// Who it is to the issuer.
    Subject,
    /// Who says so.
    Issuer,
    /// Whose member or credential it is.
    Organization,
    /// With spaces between them.
    Scopes,
    /// With commas between them.
    Roles,
    /// How it was shown: `token`, `key`, `password`, `two_factor`, `signature` or `certificate`.
    Method,
    /// A claim; what is no text is JSON.
    Claim(ClaimPath),
}
