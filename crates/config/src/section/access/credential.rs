//! What policies that identify have in common.

use crate::decode::{Context, Object};
use crate::model::Credential;
use crate::shape::{Field, Shape, field};

/// `required`: the same for every kind.
pub(super) const REQUIRED: Field = field(
    "required",
    Shape::Boolean,
    "Whether requests without a credential are refused. One that is there must be good in any case.",
)
.default("true");

pub(super) const FORWARD: Field = field(
    "forward",
    Shape::Boolean,
    "Whether the upstream gets the credential, too.",
);

/// Of a kind whose record has both fields.
pub(super) fn decode(context: &mut Context<'_>, object: &Object<'_>) -> Option<Credential> {
    let is_required = object.get("required")?.boolean(context);
    let is_forwarded = object.get("forward")?.boolean(context);
    Some(Credential {
        is_required: is_required?,
        is_forwarded: is_forwarded?,
    })
}
