//! How identifiers look in OpenAPI documents.

use std::borrow::Cow;

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::{Id, TenantId};

fn identifier(about: &str, example: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(about))
        .pattern(Some("^[a-z]{1,16}_[0-7][0-9a-hjkmnp-tv-z]{25}$"))
        .examples([example])
        .into()
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        identifier(
            "An identifier: a word and a number.",
            "usr_01kc2q8r5nf0hb6x2v9w4t7zde",
        )
    }
}

impl ToSchema for Id {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Id")
    }
}

impl PartialSchema for TenantId {
    fn schema() -> RefOr<Schema> {
        identifier(
            "An organization's identifier.",
            "org_01kc2q8r5nf0hb6x2v9w4t7zde",
        )
    }
}

impl ToSchema for TenantId {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("TenantId")
    }
}
