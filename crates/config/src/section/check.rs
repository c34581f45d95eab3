//! What only the whole shows: names that are used or not.

use super::headers::VariableUse;
use super::policy::KINDS;
use crate::codes;
use crate::decode::{Context, Cursor, Named};
use crate::diagnostic::Finding;
use crate::model::{Upstream, UpstreamHttp2};
use crate::suggest::quote;

/// The names that routes may refer to, sorted, and which of them are used. A declaration with
/// mistakes counts: its users are not to blame.
pub(super) struct Declared {
    upstreams: Vec<(String, bool)>,
    policies: Vec<(String, bool)>,
    /// Upstreams that are spoken to over HTTP/1.1 and nothing else.
    without_http2: Vec<String>,
    /// What each policy's templates ask of a route that not every one has.
    pub(super) policy_variables: Vec<Vec<VariableUse>>,
    /// Of each policy, the kind, as far as that is known.
    pub(super) policy_kinds: Vec<Option<&'static str>>,
    /// Whether routes have mistakes: what they meant to use then looks unused.
    pub(super) is_incomplete: bool,
}

impl Declared {
    /// From entries that are sorted by name.
    pub(super) fn new(upstreams: &[Named<'_>], policies: &[Named<'_>]) -> Self {
        let unused = |entry: &Named<'_>| (entry.name.to_owned(), false);
        Self {
            upstreams: upstreams.iter().map(unused).collect(),
            policies: policies.iter().map(unused).collect(),
            without_http2: Vec::new(),
            policy_variables: policies.iter().map(|_| Vec::new()).collect(),
            policy_kinds: policies.iter().map(kind).collect(),
            is_incomplete: false,
        }
    }

    pub(super) fn use_upstream(&mut self, name: &str) -> Option<usize> {
        let index = mark_used(&mut self.upstreams, name);
        self.is_incomplete |= index.is_none();
        index
    }

    pub(super) fn note_versions(&mut self, upstreams: &[Upstream]) {
        // Over TLS it is negotiated.
        let is_without = |upstream: &&Upstream| {
            upstream.tls.is_none() && upstream.http2 != UpstreamHttp2::Always
        };
        let names = upstreams.iter().filter(is_without);
        self.without_http2 = names.map(|upstream| upstream.name.clone()).collect();
    }

    /// The first of these upstreams that no call of gRPC can go to.
    pub(super) fn without_http2(&self, mut of: impl Iterator<Item = usize>) -> Option<&str> {
        of.find_map(|index| {
            let (name, _) = self.upstreams.get(index)?;
            self.without_http2.contains(name).then_some(name.as_str())
        })
    }

    pub(super) fn use_policy(&mut self, name: &str) -> Option<usize> {
        let index = mark_used(&mut self.policies, name);
        self.is_incomplete |= index.is_none();
        index
    }

    pub(super) fn upstream_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.upstreams.iter().map(|(name, _)| name.as_str())
    }

    /// Whether one of these policies is of this kind.
    pub(super) fn has_kind(&self, policies: &[usize], kind: &str) -> bool {
        let mut kinds = policies.iter().map(|at| self.policy_kinds[*at]);
        kinds.any(|known| known == Some(kind))
    }

    pub(super) fn policy_name(&self, index: usize) -> &str {
        &self.policies[index].0
    }

    pub(super) fn policy_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.policies.iter().map(|(name, _)| name.as_str())
    }
}

fn kind(policy: &Named<'_>) -> Option<&'static str> {
    let mut kinds = KINDS.into_iter();
    kinds.find(|kind| policy.value.node.entry(kind).is_some())
}

fn mark_used(names: &mut [(String, bool)], name: &str) -> Option<usize> {
    let index = names
        .binary_search_by(|(declared, _)| declared.as_str().cmp(name))
        .ok()?;
    names[index].1 = true;
    Some(index)
}

/// The index of an upstream; reports that there is none of this name.
pub(super) fn find_upstream(
    context: &mut Context<'_>,
    declared: &mut Declared,
    name: &str,
    place: impl FnOnce(Finding) -> Finding,
) -> Option<usize> {
    let index = declared.use_upstream(name);
    if index.is_none() {
        let help = context.suggest(name, declared.upstream_names(), "upstreams");
        let message = format!("there is no upstream {}", quote(name));
        context.report(place(Finding::error(codes::UNKNOWN_UPSTREAM, message)).help(help));
    }
    index
}

/// The index of the upstream that a value names.
pub(super) fn decode_upstream(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    declared: &mut Declared,
) -> Option<usize> {
    let name = cursor.text(context)?;
    find_upstream(context, declared, name, |finding| {
        finding.at(cursor.span()).path(cursor.path.to_string())
    })
}

/// Warns of upstreams and policies that no route uses.
pub(super) fn report_unused(
    context: &mut Context<'_>,
    upstreams: &[Named<'_>],
    policies: &[Named<'_>],
    declared: &Declared,
) {
    if declared.is_incomplete {
        return;
    }
    for (entry, (name, is_used)) in upstreams.iter().zip(&declared.upstreams) {
        if !is_used {
            let message = format!("no route uses the upstream {}", quote(name));
            report_unused_entry(context, entry, codes::UNUSED_UPSTREAM, message);
        }
    }
    for (entry, (name, is_used)) in policies.iter().zip(&declared.policies) {
        if !is_used {
            let message = format!("no route uses the policy {}", quote(name));
            report_unused_entry(context, entry, codes::UNUSED_POLICY, message);
        }
    }
}

fn report_unused_entry(
    context: &mut Context<'_>,
    entry: &Named<'_>,
    code: &'static str,
    message: String,
) {
    let finding = Finding::warning(code, message)
        .at(entry.name_span)
        .path(entry.value.path.to_string())
        .help("use it in a route or remove it");
    context.report(finding);
}
