//! What is different between two states.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use serde_json::Value as Json;
use similar::TextDiff;
use weir_config::ResourceName;
use weir_store::records::{Read, Row};

use crate::CHANGES;
use crate::error::Result;
use crate::resource::name_of;
use crate::sealed::{Kept, hide, parse};
use crate::secrets::Secrets;

/// By what a history is read: a unique index.
const ORDER: [&str; 3] = ["revision", "kind", "name"];

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there.
    Create,
    /// It is another.
    Update,
    /// It is not there any more.
    Delete,
}

impl ChangeKind {
    pub(crate) const fn of(was: bool, is: bool) -> Self {
        match (was, is) {
            (false, _) => Self::Create,
            (true, true) => Self::Update,
            (true, false) => Self::Delete,
        }
    }

    /// `create`, `update` or `delete`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    const fn reversed(self) -> Self {
        match self {
            Self::Create => Self::Delete,
            Self::Update => Self::Update,
            Self::Delete => Self::Create,
        }
    }
}

/// A resource that is different.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which one.
    pub resource: ResourceName,
    /// In which way.
    pub change: ChangeKind,
    /// What it was, with `•••` in place of secrets. Like `after` none if the documents are left out.
    pub before: Option<Json>,
    /// What it is, with `•••` in place of secrets.
    pub after: Option<Json>,
    /// The places (RFC 6901) where there was a secret and now is another one.
    pub secrets: Vec<String>,
}

/// The same of what is kept.
pub(crate) struct KeptDifference {
    pub(crate) resource: ResourceName,
    pub(crate) before: Option<Kept>,
    pub(crate) after: Option<Kept>,
}

impl Difference {
    /// The other way round.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            change: self.change.reversed(),
            before: self.after,
            after: self.before,
            ..self
        }
    }
}

/// A resource and what it was and is, as texts.
type Texts = BTreeMap<ResourceName, (Option<String>, Option<String>)>;

/// What the revisions behind `from`, up to `to`, make different together. A long history is read row by
/// row: what is held is at most what there was, and what there is.
pub(crate) async fn differences_between(
    read: &mut Read,
    secrets: &Secrets,
    from: i64,
    to: i64,
) -> Result<Vec<KeptDifference>> {
    let select = CHANGES
        .rows()
        .select()
        .filter("revision > ? AND revision <= ?", [from, to])
        .order(ORDER);
    let mut texts = Texts::new();
    read.each(select, |row| fold(&mut texts, row)).await?;
    let mut different = Vec::new();
    for (resource, (before, after)) in texts {
        if before == after {
            continue;
        }
        let parse = |text: Option<String>| text.as_deref().map(parse).transpose();
        let (before, after) = (parse(before)?, parse(after)?);
        // Sealed anew, it may be the same.
        let is_same = match (&before, &after) {
            (Some(before), Some(after)) => secrets.same(&resource, before, after),
            _ => false,
        };
        if !is_same {
            different.push(KeptDifference {
                resource,
                before,
                after,
            });
        }
    }
    Ok(different)
}

fn fold(texts: &mut Texts, row: &Row) -> Result<()> {
    let after = row.optional_text("document_after")?;
    match texts.entry(name_of(row)?) {
        Entry::Occupied(mut known) => known.get_mut().1 = after,
        Entry::Vacant(new) => {
            new.insert((row.optional_text("document_before")?, after));
        }
    }
    Ok(())
}

/// Hides what was kept in the clear on both sides.
pub(crate) fn hide_both(kept: &mut [KeptDifference]) {
    hide(kept.iter_mut().flat_map(|one| {
        let resource = &one.resource;
        let sides = one.before.iter_mut().chain(&mut one.after);
        sides.map(move |kept| (resource, kept))
    }));
}

/// The same of what has nothing secret in the clear.
pub(crate) fn shown(secrets: &Secrets, kept: Vec<KeptDifference>) -> Vec<Difference> {
    let shown = |one: KeptDifference| Difference {
        change: ChangeKind::of(one.before.is_some(), one.after.is_some()),
        secrets: match (&one.before, &one.after) {
            (Some(before), Some(after)) => secrets.different(&one.resource, before, after),
            _ => Vec::new(),
        },
        resource: one.resource,
        before: one.before.map(|kept| kept.shown),
        after: one.after.map(|kept| kept.shown),
    };
    kept.into_iter().map(shown).collect()
}

/// Differences as `diff -u` writes them, of the documents laid out as JSON.
pub fn unified(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences {
        let name = &difference.resource;
        let name = format!("{}/{}", name.kind.name(), name.name);
        let (before, after) = (laid_out(&difference.before), laid_out(&difference.after));
        let header = |side: &str, document: &Option<Json>| match document {
            Some(_) => format!("{side}/{name}"),
            None => "/dev/null".to_owned(),
        };
        let (left, right) = (
            header("a", &difference.before),
            header("b", &difference.after),
        );
        let diff = TextDiff::from_lines(&before, &after);
        // Writing to a String cannot fail.
        let _ = write!(text, "{}", diff.unified_diff().header(&left, &right));
        if before == after {
            let _ = writeln!(text, "--- {left}\n+++ {right}");
        }
        for pointer in &difference.secrets {
            // As `diff` writes what is no line of either side.
            let _ = writeln!(text, "\\ A secret is different: {pointer}");
        }
    }
    text
}

fn laid_out(document: &Option<Json>) -> String {
    // The layout of JSON begins nowhere with what could fail.
    document
        .as_ref()
        .map_or_else(String::new, |document| format!("{document:#}\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_config::ResourceKind;

    use super::*;

    #[test]
    fn differences_read_as_diff_writes_them() {
        let of = |name: &str, before, after| Difference {
            resource: ResourceName::new(ResourceKind::Upstream, name).unwrap(),
            change: ChangeKind::Update,
            before,
            after,
            secrets: Vec::new(),
        };
        let before = json!({"targets": ["127.0.0.1:1"]});
        let after = json!({"targets": ["127.0.0.1:2"]});
        let text = unified(&[
            of("a", Some(before.clone()), Some(after.clone())),
            of("b", None, Some(after)),
            of("c", Some(before), None),
        ]);
        let expected = r#"--- a/upstream/a
+++ b/upstream/a
@@ -1,5 +1,5 @@
 {
   "targets": [
-    "127.0.0.1:1"
+    "127.0.0.1:2"
   ]
 }
--- /dev/null
+++ b/upstream/b
@@ -0,0 +1,5 @@
+{
+  "targets": [
+    "127.0.0.1:2"
+  ]
+}
--- a/upstream/c
+++ /dev/null
@@ -1,5 +0,0 @@
-{
-  "targets": [
-    "127.0.0.1:1"
-  ]
-}
"#;
        assert_eq!(text, expected);
        let hidden = json!({"key": "•••"});
        let renewed = Difference {
            secrets: vec!["/key".to_owned()],
            ..of("d", Some(hidden.clone()), Some(hidden))
        };
        let expected = "--- a/upstream/d\n+++ b/upstream/d\n\\ A secret is different: /key\n";
        assert_eq!(unified(&[renewed]), expected);
    }
}
