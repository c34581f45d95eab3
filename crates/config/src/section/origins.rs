//! Lists of origins.

use crate::codes;
use crate::decode::{Context, Cursor};
use crate::diagnostic::Finding;
use crate::origin::{OriginPattern, Origins};

/// `None` if none of them can be read.
pub(super) fn listed(context: &mut Context<'_>, items: Vec<Cursor<'_>>) -> Option<Origins> {
    let mut patterns = Vec::new();
    let mut places = Vec::new();
    for item in items {
        if let Some(pattern) = item.parse(context, OriginPattern::parse) {
            places.push((format!("{pattern:?}"), item.span()));
            patterns.push(pattern);
        }
    }
    context.report_repeated(places, |_, first| {
        Finding::error(codes::LISTED_TWICE, "this origin is listed twice")
            .help(format!("the first is at {first}"))
    });
    (!patterns.is_empty()).then_some(Origins::These(patterns))
}
