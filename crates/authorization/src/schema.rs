//! What policies can speak of.

use cedar_policy::{EntityTypeName, EntityUid, SchemaFragment, Validator};

use crate::fault::Fault;
use crate::question::{Kind, Principal};

const REQUESTS: &str = include_str!("requests.cedarschema");
const ADMINISTRATION: &str = include_str!("administration.cedarschema");

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Requests at the gateway.
    Requests,
    /// Permissions at the admin API.
    Administration,
}

/// What policies can speak of: kinds of principals, actions, resources, and the context.
pub struct Schema {
    domain: Domain,
    text: String,
    pub(crate) validator: Validator,
    pub(crate) types: Types,
}

impl Schema {
    /// That of requests at the gateway.
    ///
    /// # Errors
    /// If the embedded text is damaged, which a test excludes.
    pub fn requests() -> Result<Self, Fault> {
        Self::read(Domain::Requests, REQUESTS.to_owned())
    }

    /// That of the admin API, whose actions are the permissions that there are, as they are written.
    /// Those that end with `:read` are in the group `read`, all others in `write`.
    ///
    /// # Errors
    /// If a permission's name cannot be one of an action.
    pub fn administration<'p>(
        permissions: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, Fault> {
        let mut text = ADMINISTRATION.to_owned();
        for permission in permissions {
            let group = match permission.ends_with(":read") {
                true => "read",
                false => "write",
            };
            text.push_str(&format!(
                "action {permission:?} in [{group}] appliesTo \
                 {{ principal: [User, ApiKey, Operator], resource: [Organization, Platform], context: Request }};\n"
            ));
        }
        Self::read(Domain::Administration, text)
    }

    fn read(domain: Domain, text: String) -> Result<Self, Fault> {
        const NAME: &str = "schema";
        let fragment = SchemaFragment::from_cedarschema_str(&text)
            .map_err(|error| Fault::of(NAME, &text, &error))?
            .0;
        let schema = cedar_policy::Schema::from_schema_fragments([fragment])
            .map_err(|error| Fault::of(NAME, &text, &error))?;
        let types = Types::new().map_err(|error| Fault::at(NAME, &text, 0, error))?;
        Ok(Self {
            domain,
            text,
            validator: Validator::new(schema),
            types,
        })
    }

    /// What it is for.
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// As people read it, in Cedar's language of schemas.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The names of types, parsed once.
#[derive(Clone, Debug)]
pub(crate) struct Types {
    kinds: [EntityTypeName; Kind::ALL.len()],
    action: EntityTypeName,
    route: EntityTypeName,
    organization: EntityTypeName,
    platform: EntityTypeName,
}

impl Types {
    fn new() -> Result<Self, String> {
        let [user, key, client, certificate, anonymous, operator] = Kind::ALL.map(Kind::as_str);
        Ok(Self {
            kinds: [
                named(user)?,
                named(key)?,
                named(client)?,
                named(certificate)?,
                named(anonymous)?,
                named(operator)?,
            ],
            action: named("Action")?,
            route: named("Route")?,
            organization: named("Organization")?,
            platform: named("Platform")?,
        })
    }

    pub(crate) fn principal(&self, principal: &Principal<'_>) -> EntityUid {
        let kind = self.kinds[principal.kind as usize].clone();
        match principal.issuer {
            None => uid(kind, principal.id),
            Some(issuer) => uid(kind, &[issuer, "|", principal.id].concat()),
        }
    }

    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(self.action.clone(), name)
    }

    pub(crate) fn route(&self, name: &str) -> EntityUid {
        uid(self.route.clone(), name)
    }

    pub(crate) fn organization(&self, id: &str, is_platform: bool) -> EntityUid {
        let kind = match is_platform {
            true => &self.platform,
            false => &self.organization,
        };
        uid(kind.clone(), id)
    }
}

fn named(name: &str) -> Result<EntityTypeName, String> {
    name.parse()
        .map_err(|error: cedar_policy::ParseErrors| error.to_string())
}

fn uid(kind: EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(id))
}
