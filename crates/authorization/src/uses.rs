//! What rules read: what a decision depends on, and what need not be handed to them.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use cedar_policy::pst::{Clause, Expr, Var};

/// What rules read. It may say of something that is not read that it is, never the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    facts: u16,
    /// Attributes of principals and resources, whosever.
    attributes: BTreeSet<String>,
    has_tags: bool,
}

/// Something that the context says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// When it is asked; the weekday is of it.
    Time,
    /// From where.
    Address,
    /// The method of the request.
    Method,
    /// The path of the request.
    Path,
    /// The host of the request.
    Host,
    /// The permission that is asked for.
    Permission,
    /// How the caller proved who they are; the level is of it.
    Strength,
    /// What recent failures come to.
    Risk,
    /// The organization that it is about.
    Tenant,
}

impl Fact {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Time,
        Self::Address,
        Self::Method,
        Self::Path,
        Self::Host,
        Self::Permission,
        Self::Strength,
        Self::Risk,
        Self::Tenant,
    ];

    /// The fact that an attribute of the context tells.
    fn named(attribute: &str) -> Option<Self> {
        Some(match attribute {
            "time" | "weekday" => Self::Time,
            "address" => Self::Address,
            "method" => Self::Method,
            "path" => Self::Path,
            "host" => Self::Host,
            "permission" => Self::Permission,
            "strength" | "level" => Self::Strength,
            "risk" => Self::Risk,
            "tenant" => Self::Tenant,
            _ => return None,
        })
    }
}

impl Uses {
    /// What these rules read.
    pub(crate) fn of<'p>(policies: impl Iterator<Item = &'p Policy>) -> Self {
        let mut uses = Self::default();
        for policy in policies {
            // What cannot be looked into may read anything.
            let Ok(policy) = policy.to_pst() else {
                uses.add_everything();
                continue;
            };
            for clause in policy.body().clauses() {
                let (Clause::When(condition) | Clause::Unless(condition)) = clause;
                uses.add(condition);
            }
        }
        uses
    }

    /// Whether a rule reads this of the context.
    pub const fn reads(&self, fact: Fact) -> bool {
        self.facts & (1 << fact as u16) != 0
    }

    /// Whether a rule reads this attribute of a principal or resource.
    pub fn reads_attribute(&self, name: &str) -> bool {
        self.attributes.contains(name)
    }

    /// Whether a rule reads claims.
    pub const fn reads_claims(&self) -> bool {
        self.has_tags
    }

    fn add_everything(&mut self) {
        self.facts = u16::MAX;
        self.has_tags = true;
        self.attributes = crate::decide::ATTRIBUTES.map(str::to_owned).into();
    }

    fn add(&mut self, expression: &Expr) {
        match expression {
            // Whoever compares or passes the whole context reads all of it.
            Expr::Var(Var::Context) => self.facts = u16::MAX,
            Expr::Literal(_) | Expr::Var(_) => {}
            Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => self.add(expr),
            Expr::BinaryOp { op, left, right } => {
                use cedar_policy::pst::BinaryOp::{GetTag, HasTag};
                self.has_tags |= matches!(op, GetTag | HasTag);
                self.add(left);
                self.add(right);
            }
            Expr::GetAttr { expr, attr } => self.add_attribute(expr, attr),
            Expr::HasAttr { expr, attrs } => {
                self.add_attribute(expr, attrs.first());
                for attribute in attrs.iter().skip(1) {
                    self.attributes.insert(attribute.to_string());
                }
            }
            Expr::Is { expr, in_expr, .. } => {
                self.add(expr);
                in_expr.iter().for_each(|expr| self.add(expr));
            }
            Expr::IfThenElse {
                cond,
                then_expr,
                else_expr,
            } => {
                self.add(cond);
                self.add(then_expr);
                self.add(else_expr);
            }
            Expr::Set(members) => members.iter().for_each(|member| self.add(member)),
            Expr::Record(fields) => fields.values().for_each(|field| self.add(field)),
            _ => self.add_everything(),
        }
    }

    fn add_attribute(&mut self, of: &Expr, attribute: &str) {
        if !matches!(of, Expr::Var(Var::Context)) {
            self.attributes.insert(attribute.to_owned());
            self.add(of);
            return;
        }
        match Fact::named(attribute) {
            Some(fact) => self.facts |= 1 << fact as u16,
            None => self.facts = u16::MAX,
        }
    }
}
