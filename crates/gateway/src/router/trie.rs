//! The paths of one host: a trie of segments whose visit follows the rule of precedence.

use std::cmp::Reverse;

use hashbrown::HashMap;
use weir_config::pattern::{PathPattern, Segment};

use super::conditions::MethodBits;

/// A route at the end of one of its patterns. Holds what rules most candidates out, so that a look-up
/// rarely touches the route itself.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) route: u32,
    /// Index of the path pattern; `None` if the route states no path.
    pub(super) pattern: Option<u32>,
    pub(super) methods: MethodBits,
    pub(super) has_conditions: bool,
    pub(super) has_claims: bool,
    pub(super) has_captures: bool,
}

/// The candidates of one path shape, most specific first.
#[derive(Debug, Default)]
pub(super) struct Terminal(Vec<Candidate>);

impl Terminal {
    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.0
    }
}

/// The patterns of one host.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// Routes that state no path.
    pathless: Terminal,
}

/// A place between two segments.
#[derive(Debug, Default)]
struct Node {
    literals: Names,
    capture: Option<u32>,
    tails: Option<Box<Tails>>,
    end: Terminal,
}

/// Patterns that end in `*` in this place, by the text in front of it.
#[derive(Debug, Default)]
struct Tails {
    /// Few are tried one by one, longest text first.
    terminals: Vec<(Box<str>, Terminal)>,
    /// Many are looked up here, once for each length that occurs.
    places: HashMap<Box<str>, u32>,
    /// Longest first.
    lengths: Vec<usize>,
}

/// A map from text to an index, without hashing while there are few.
#[derive(Debug)]
enum Names {
    Few(Vec<(Box<str>, u32)>),
    Many(HashMap<Box<str>, u32>),
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            pathless: Terminal::default(),
        }
    }
}

impl Trie {
    /// Calls `accept` with the candidates of each matching path shape, most specific first, until it
    /// returns something. `visited` counts the nodes on the way.
    pub(super) fn visit<'t, T>(
        &'t self,
        path: &str,
        visited: &mut usize,
        accept: &mut impl FnMut(&'t Terminal) -> Option<T>,
    ) -> Option<T> {
        if let Some(rest) = path.strip_prefix('/')
            && let Some(accepted) = self.descend(0, Some(rest), visited, accept)
        {
            return Some(accepted);
        }
        accept(&self.pathless)
    }

    /// `rest` is what follows the node's slash; `None` if the path ends in front of it. The depth is
    /// bounded by the patterns' ([`PathPattern::MAX_LENGTH`]), not by the path's.
    fn descend<'t, T>(
        &'t self,
        node: u32,
        rest: Option<&str>,
        visited: &mut usize,
        accept: &mut impl FnMut(&'t Terminal) -> Option<T>,
    ) -> Option<T> {
        *visited += 1;
        let node = &self.nodes[node as usize];
        let Some(rest) = rest else {
            return accept(&node.end);
        };
        let (segment, following) = match memchr::memchr(b'/', rest.as_bytes()) {
            Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
            None => (rest, None),
        };
        if let Some(child) = node.literals.get(segment)
            && let Some(accepted) = self.descend(child, following, visited, accept)
        {
            return Some(accepted);
        }
        if let Some(child) = node.capture
            && !segment.is_empty()
            && let Some(accepted) = self.descend(child, following, visited, accept)
        {
            return Some(accepted);
        }
        node.tails.as_ref()?.visit(segment, accept)
    }

    /// Adds a candidate at the end of its pattern.
    pub(super) fn insert(&mut self, pattern: Option<&PathPattern>, candidate: Candidate) {
        self.terminal(pattern).0.push(candidate);
    }

    fn terminal(&mut self, pattern: Option<&PathPattern>) -> &mut Terminal {
        let Some(pattern) = pattern else {
            return &mut self.pathless;
        };
        let mut node = 0;
        for segment in &pattern.segments {
            node = self.child(node, segment);
        }
        let node = &mut self.nodes[node as usize];
        match &pattern.tail {
            Some(prefix) => node.tails.get_or_insert_default().terminal(prefix),
            None => &mut node.end,
        }
    }

    fn child(&mut self, node: u32, segment: &Segment) -> u32 {
        let parent = &self.nodes[node as usize];
        let known = match segment {
            Segment::Literal(text) => parent.literals.get(text),
            Segment::Capture(_) => parent.capture,
        };
        if let Some(child) = known {
            return child;
        }
        let child = index(self.nodes.len());
        self.nodes.push(Node::default());
        let parent = &mut self.nodes[node as usize];
        match segment {
            Segment::Literal(text) => parent.literals.insert(text, child),
            Segment::Capture(_) => parent.capture = Some(child),
        }
        child
    }

    /// Puts everything into the order of the rule; called once, after the last `insert`.
    pub(super) fn sort_by_key<K: Ord>(&mut self, key: impl Fn(&Candidate) -> K) {
        let sort = |terminal: &mut Terminal| terminal.0.sort_by_key(&key);
        sort(&mut self.pathless);
        for node in &mut self.nodes {
            sort(&mut node.end);
            if let Some(tails) = &mut node.tails {
                tails
                    .terminals
                    .iter_mut()
                    .for_each(|(_, terminal)| sort(terminal));
                tails.finish();
            }
        }
    }
}

impl Tails {
    fn visit<'t, T>(
        &'t self,
        segment: &str,
        accept: &mut impl FnMut(&'t Terminal) -> Option<T>,
    ) -> Option<T> {
        if self.places.is_empty() {
            for (prefix, terminal) in &self.terminals {
                // An empty box points nowhere, and some processors take 60 ns for a comparison of
                // nothing there.
                let is_match = prefix.is_empty() || segment.starts_with(&**prefix);
                if is_match && let Some(accepted) = accept(terminal) {
                    return Some(accepted);
                }
            }
            return None;
        }
        self.lengths.iter().find_map(|&length| {
            let place = self.places.get(segment.get(..length)?)?;
            accept(&self.terminals[*place as usize].1)
        })
    }

    fn terminal(&mut self, prefix: &str) -> &mut Terminal {
        let place = match self.places.get(prefix) {
            Some(place) => *place,
            None => {
                let place = index(self.terminals.len());
                self.terminals.push((prefix.into(), Terminal::default()));
                self.places.insert(prefix.into(), place);
                place
            }
        };
        &mut self.terminals[place as usize].1
    }

    fn finish(&mut self) {
        if self.terminals.len() <= Names::FEW {
            self.places = HashMap::new();
            self.terminals
                .sort_by_key(|(prefix, _)| Reverse(prefix.len()));
            return;
        }
        self.lengths = self
            .terminals
            .iter()
            .map(|(prefix, _)| prefix.len())
            .collect();
        self.lengths.sort_unstable_by_key(|length| Reverse(*length));
        self.lengths.dedup();
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Names {
    /// Comparing lengths and then bytes of this many is cheaper than hashing once.
    const FEW: usize = 8;

    fn get(&self, name: &str) -> Option<u32> {
        match self {
            Self::Few(names) => names
                .iter()
                .find(|(known, _)| {
                    known.len() == name.len() && (name.is_empty() || **known == *name)
                })
                .map(|(_, index)| *index),
            Self::Many(names) => names.get(name).copied(),
        }
    }

    /// The name must be new.
    fn insert(&mut self, name: &str, index: u32) {
        match self {
            Self::Few(names) if names.len() < Self::FEW => names.push((name.into(), index)),
            Self::Few(names) => {
                let mut many: HashMap<_, _> = std::mem::take(names).into_iter().collect();
                many.insert(name.into(), index);
                *self = Self::Many(many);
            }
            Self::Many(names) => {
                names.insert(name.into(), index);
            }
        }
    }
}

/// Four thousand million nodes do not fit into memory.
#[expect(clippy::expect_used, reason = "unreachable before memory is exhausted")]
fn index(length: usize) -> u32 {
    u32::try_from(length).expect("fewer than 2^32 nodes")
}
