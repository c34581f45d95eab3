//! Resources that a node cannot use: it runs without them and what depends on them, and says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_config::{Diagnostic, Loaded, Report, ResourceName, Resources, Severity};
use weir_console::LeftOut;

/// Each attempt leaves out what the one before it met with; a report lists a thousand mistakes.
pub(in crate::serve) const ATTEMPTS: usize = 50;
/// The log names so many; `/v1/status` has them all.
const MOST_TOLD: usize = 100;

/// The resources that a report finds mistakes in, each with the first one.
pub(in crate::serve) fn at_fault(report: &Report) -> Vec<LeftOut> {
    let mut found: BTreeMap<&ResourceName, LeftOut> = BTreeMap::new();
    for one in &report.diagnostics {
        if let (Severity::Error, Some(resource)) = (one.severity, &one.resource) {
            found.entry(resource).or_insert_with(|| LeftOut {
                resource: resource.clone(),
                code: Some(one.code),
                message: one.message.clone(),
            });
        }
    }
    found.into_values().collect()
}

/// The others.
pub(in crate::serve) fn without(resources: &Resources, left_out: &[LeftOut]) -> Resources {
    let names: Vec<_> = left_out.iter().map(|one| one.resource.clone()).collect();
    resources.without(&names)
}

/// By kind and name.
pub(in crate::serve) fn sort(left_out: &mut [LeftOut]) {
    left_out.sort_by(|left, right| left.resource.cmp(&right.resource));
}

/// What is to be told of the resources that are used.
pub(in crate::serve) fn warnings(loaded: &Loaded) -> Arc<[Diagnostic]> {
    let warnings = loaded.warnings.iter();
    let of_resources = warnings.filter(|one| one.resource.is_some());
    of_resources.cloned().collect()
}

/// Says in the log what the node runs without, if it does.
pub(in crate::serve) fn tell(revision: i64, left_out: &[LeftOut]) {
    if left_out.is_empty() {
        return;
    }
    tracing::error!(
        revision,
        left_out = left_out.len(),
        "this node cannot use all resources, and runs the others without them"
    );
    for one in left_out.iter().take(MOST_TOLD) {
        tracing::error!(
            revision,
            code = one.code,
            resource = %one.resource,
            "left out: {}",
            one.message
        );
    }
}
