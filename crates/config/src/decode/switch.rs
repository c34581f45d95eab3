//! Values that can be turned off.

use std::time::Duration;

use super::{Context, Cursor, Object};
use crate::node::{Node, Value};
use crate::shape::Shape;

impl Cursor<'_> {
    /// Settings for which `true` takes all defaults and `false` is none; `None` after a report, too.
    pub(crate) fn switched<T>(
        &self,
        context: &mut Context<'_>,
        read: impl FnOnce(&mut Context<'_>, &Object<'_>) -> Option<T>,
    ) -> Option<T> {
        let cursor = self.alternative(context)?;
        if !matches!(cursor.shape, Shape::Boolean) {
            let object = Object::open(context, &cursor)?;
            return read(context, &object);
        }
        if !cursor.boolean(context)? {
            return None;
        }
        let Shape::Either(shapes) = *self.shape else {
            return None;
        };
        let settings = shapes
            .iter()
            .find(|shape| matches!(shape, Shape::Record(_)))?;
        let all_defaults = Node::mapping(cursor.node.span, Vec::new());
        let object = Object::open(context, &cursor.with(&all_defaults, settings))?;
        read(context, &object)
    }

    /// A duration, or `false` for none.
    pub(crate) fn duration_or_off(&self, context: &mut Context<'_>) -> Option<Duration> {
        static DURATION: Shape = Shape::Duration { zero: false };
        match &self.node.value {
            Value::Scalar { text, plain: true }
                if matches!(text.as_ref(), "false" | "False" | "FALSE") =>
            {
                None
            }
            Value::Scalar { .. } if !self.node.is_null() => {
                Some(self.with(self.node, &DURATION).duration(context))
            }
            _ => {
                self.report_wrong_type(context);
                None
            }
        }
    }
}
