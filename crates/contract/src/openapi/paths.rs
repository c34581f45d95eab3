//! Which path template a request's path matches (OpenAPI §4.8.8.2): literals win over parameters.

use std::collections::HashMap;

use crate::documents::decode;

/// A path template, by segments.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    /// Names of parameters, in order.
    pub(crate) names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// A parameter between two texts, which are mostly empty.
    Parameter {
        before: String,
        behind: String,
    },
}

impl Template {
    pub(crate) fn parse(path: &str) -> Result<Self, String> {
        let Some(path) = path.strip_prefix('/') else {
            return Err("a path must begin with `/`".into());
        };
        let mut names: Vec<String> = Vec::new();
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let Some((before, rest)) = segment.split_once('{') else {
                let literal = decode(segment).ok_or("this path is not one")?;
                segments.push(Segment::Literal(literal));
                continue;
            };
            let Some((name, behind)) = rest.split_once('}') else {
                return Err("a `{` without its `}`".into());
            };
            if behind.contains('{') {
                return Err("two parameters in one segment cannot be told apart".into());
            }
            if name.is_empty() || names.iter().any(|known| known == name) {
                return Err("parameters of a path need a name each".into());
            }
            names.push(name.to_owned());
            segments.push(Segment::Parameter {
                before: before.to_owned(),
                behind: behind.to_owned(),
            });
        }
        Ok(Self { segments, names })
    }
}

/// All templates, as a tree.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    /// With a text around them first, as they say more.
    parameters: Vec<(String, String, usize)>,
    /// The path that ends here.
    path: Option<usize>,
}

impl Paths {
    pub(crate) fn insert(&mut self, template: &Template, path: usize) -> Result<(), String> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for segment in &template.segments {
            at = match self.child(at, segment) {
                Some(known) => known,
                None => self.add(at, segment),
            };
        }
        match self.nodes[at].path.replace(path) {
            None => Ok(()),
            Some(_) => Err("another path of the document matches the same requests".into()),
        }
    }

    fn child(&self, at: usize, segment: &Segment) -> Option<usize> {
        let node = &self.nodes[at];
        match segment {
            Segment::Literal(text) => node.literals.get(text).copied(),
            Segment::Parameter { before, behind } => {
                let mut known = node.parameters.iter();
                known
                    .find(|(one, other, _)| (one, other) == (before, behind))
                    .map(|(_, _, at)| *at)
            }
        }
    }

    fn add(&mut self, at: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        self.nodes.push(Node::default());
        let node = &mut self.nodes[at];
        match segment.clone() {
            Segment::Literal(text) => {
                node.literals.insert(text, new);
            }
            Segment::Parameter { before, behind } => {
                node.parameters.push((before, behind, new));
                node.parameters.sort_by_key(|(before, behind, _)| {
                    std::cmp::Reverse(before.len() + behind.len())
                });
            }
        }
        new
    }

    /// The path's index and what its parameters have captured, still encoded.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Option<(usize, Vec<&'p str>)> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let mut captured = Vec::new();
        let found = self.descend(0, &segments, &mut captured)?;
        Some((found, captured))
    }

    fn descend<'p>(
        &self,
        at: usize,
        segments: &[&'p str],
        captured: &mut Vec<&'p str>,
    ) -> Option<usize> {
        let node = self.nodes.get(at)?;
        let Some((segment, rest)) = segments.split_first() else {
            return node.path;
        };
        let literal = decode(segment).and_then(|text| node.literals.get(&text));
        if let Some(found) = literal.and_then(|next| self.descend(*next, rest, captured)) {
            return Some(found);
        }
        for (before, behind, next) in &node.parameters {
            let inside = segment.strip_prefix(before.as_str());
            let inside = inside.and_then(|rest| rest.strip_suffix(behind.as_str()));
            let Some(inside) = inside.filter(|inside| !inside.is_empty()) else {
                continue;
            };
            captured.push(inside);
            if let Some(found) = self.descend(*next, rest, captured) {
                return Some(found);
            }
            captured.pop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(templates: &[&str]) -> Paths {
        let mut paths = Paths::default();
        for (at, template) in templates.iter().enumerate() {
            paths
                .insert(&Template::parse(template).unwrap(), at)
                .unwrap();
        }
        paths
    }

    #[test]
    fn literals_win_and_what_leads_nowhere_is_left() {
        let paths = paths(&["/", "/a/{x}", "/a/b", "/{y}/b/c", "/a/{x}.json", "/a b/{x}"]);
        assert_eq!(paths.find("/"), Some((0, vec![])));
        assert_eq!(paths.find("/a/1"), Some((1, vec!["1"])));
        assert_eq!(paths.find("/a/b"), Some((2, vec![])));
        assert_eq!(paths.find("/a/b/c"), Some((3, vec!["a"])));
        assert_eq!(paths.find("/a/1.json"), Some((4, vec!["1"])));
        assert_eq!(paths.find("/a%20b/%2F"), Some((5, vec!["%2F"])));
        for path in ["/a", "/a/", "/a/b/", "", "/x", "/a/.json/"] {
            assert_eq!(paths.find(path), None, "{path}");
        }
        assert_eq!(Paths::default().find("/"), None);
    }

    #[test]
    fn templates_that_cannot_be_told_apart_are_refused() {
        let mut known = paths(&["/a/{x}"]);
        assert!(
            known
                .insert(&Template::parse("/a/{y}").unwrap(), 1)
                .is_err()
        );
        for wrong in ["a", "/{x", "/{x}-{y}", "/{x}/{x}", "/{}", "/%zz"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
