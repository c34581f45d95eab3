//! Fields that tell browsers to be careful.

use http::{HeaderName, HeaderValue};
use weir_config::model;

use crate::fields::Fields;

pub(super) struct SecurityHeaders {
    fields: Vec<(HeaderName, HeaderValue)>,
    overrides: bool,
}

impl SecurityHeaders {
    pub(super) fn compile(model: &model::SecurityHeaders) -> Self {
        Self {
            fields: model.fields.clone(),
            overrides: model.overrides,
        }
    }

    pub(super) fn apply(&self, fields: &mut Fields) {
        for (name, value) in &self.fields {
            if self.overrides {
                fields.set(name.clone(), value.clone());
            } else if !fields.contains(name) {
                fields.append(name.clone(), value.clone());
            }
        }
    }
}
