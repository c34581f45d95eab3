//! Where in the configuration a value stands: `routes[0].match.path`.

use std::fmt;

use crate::source::printable;

/// A path, from the inside out. Lives on the stack of the decoder; written out only for a finding.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Root,
    };

    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    pub(crate) fn step(&self) -> Step<'a> {
        self.step
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        if let Some(parent) = self.parent {
            parent.fmt(formatter)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Index(index) => write!(formatter, "[{index}]"),
            Step::Key(key) => {
                if self.parent.is_some_and(|parent| !parent.is_root()) {
                    formatter.write_str(".")?;
                }
                let shown: String = key.chars().take(SHOWN).map(printable).collect();
                formatter.write_str(&shown)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_keys_and_indices() {
        let routes = Path::ROOT.key("routes");
        let route = routes.index(3);
        assert_eq!(route.key("match").to_string(), "routes[3].match");
        assert_eq!(Path::ROOT.to_string(), "");
    }
}
