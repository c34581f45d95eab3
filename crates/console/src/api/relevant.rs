//! Which warnings whoever makes a change should hear: those of what is changed, and those that were not there before.
//! The others they have heard, or somebody else has.

use std::collections::HashSet;

use weir_config::{Diagnostic, ResourceName};

use crate::configuration::Running;

/// What tells a warning apart. Its words may name a day.
type Known = (ResourceName, &'static str, String);

/// What is known of the resources that run here.
pub(super) struct Relevant {
    known: HashSet<Known>,
}

impl Relevant {
    /// For a change of what runs.
    pub(super) fn to(running: &Running) -> Self {
        let known = running.warnings.iter().filter_map(known).collect();
        Self { known }
    }

    /// Whether a warning is, where these are changed. Those of the file are for whoever runs the node.
    pub(super) fn is(&self, warning: &Diagnostic, changed: &HashSet<&ResourceName>) -> bool {
        let is_changed = warning
            .resource
            .as_ref()
            .is_some_and(|one| changed.contains(one));
        is_changed || known(warning).is_some_and(|one| !self.known.contains(&one))
    }
}

fn known(warning: &Diagnostic) -> Option<Known> {
    let resource = warning.resource.clone()?;
    Some((resource, warning.code, warning.path.clone()))
}
