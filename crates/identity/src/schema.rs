//! How what is written as plain text looks in OpenAPI documents.

use std::borrow::Cow;

use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::password::Password;
use crate::permission::{Permission, Permissions};
use crate::role::Assigned;
use crate::session::Device;

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

impl PartialSchema for Permission {
    fn schema() -> RefOr<Schema> {
        text()
            .description(Some("A right, written `thing:what`."))
            .enum_values(Some(Self::ALL.iter().map(|one| one.as_str())))
            .into()
    }
}

impl ToSchema for Permission {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Permission")
    }
}

impl PartialSchema for Permissions {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name("Permission"))
            .into()
    }
}

impl ToSchema for Permissions {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Permissions")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Permission::name().into_owned(), Permission::schema()));
    }
}

impl PartialSchema for Assigned {
    fn schema() -> RefOr<Schema> {
        text()
            .description(Some(
                "The name of a built-in role, or the identifier of one that the organization made.",
            ))
            .pattern(Some(
                "^(owner|admin|editor|viewer|operator|auditor|rol_[0-7][0-9a-hjkmnp-tv-z]{25})$",
            ))
            .examples(["editor"])
            .into()
    }
}

impl ToSchema for Assigned {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("AssignedRole")
    }
}

impl PartialSchema for Device {
    fn schema() -> RefOr<Schema> {
        text().examples(["Firefox on Linux"]).into()
    }
}

impl ToSchema for Device {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Device")
    }
}

impl PartialSchema for Password {
    fn schema() -> RefOr<Schema> {
        text()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .examples(["correct horse battery staple"])
            .into()
    }
}

impl ToSchema for Password {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Password")
    }
}
