//! From text to what can be asked.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Effect, Policy, PolicyId, PolicySet, ValidationError, ValidationMode,
    ValidationWarning,
};
use miette::Diagnostic;

use crate::depth::measure;
use crate::fault::{Fault, position};
use crate::schema::{Domain, Schema, Types};
use crate::uses::Uses;

/// Largest text of one policy, in bytes.
pub const LARGEST_TEXT: usize = 64 << 10;
/// Most rules that are compiled together.
pub const MOST_RULES: usize = 1000;
/// Stack that compiling takes at most: Cedar's parser goes as deep as a rule, in large steps.
const STACK: usize = 64 << 20;

/// A policy: rules under one name, such as a file's.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// For messages, and for the names of rules that have none.
    pub name: &'a str,
    /// Rules in the Cedar language.
    pub text: &'a str,
}

/// Rules that are ready to be asked.
pub struct Compiled {
    pub(crate) domain: Domain,
    pub(crate) policies: PolicySet,
    pub(crate) rules: HashMap<PolicyId, Rule>,
    pub(crate) uses: Uses,
    /// How deep the deepest rule goes.
    pub(crate) depth: usize,
    pub(crate) types: Types,
    pub(crate) authorizer: Authorizer,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.rules()).finish()
    }
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What its annotation `@id` says, or else the policy and the rule's number in it, from 1.
    pub name: Arc<str>,
    /// The policy that it is in.
    pub policy: Arc<str>,
    /// Where it begins, from 1.
    pub line: usize,
    /// Whether it forbids.
    pub forbids: bool,
    pub(crate) order: usize,
}

/// Compiles policies against a schema, to be asked as one.
///
/// # Errors
/// Every mistake of all of them: of syntax, if there are any of that; else those of a validator that
/// takes nothing for granted. A rule that can never apply, two rules of one name, templates and what
/// is larger than a limit are mistakes as well.
pub fn compile(sources: &[Source<'_>], schema: &Schema) -> Result<Compiled, Vec<Fault>> {
    stacker::grow(STACK, || compile_here(sources, schema))
}

fn compile_here(sources: &[Source<'_>], schema: &Schema) -> Result<Compiled, Vec<Fault>> {
    let mut reading = Reading::default();
    for source in sources {
        reading.read(source);
    }
    if reading.faults.is_empty() {
        reading.validate(sources, schema);
    }
    if !reading.faults.is_empty() {
        return Err(reading.faults);
    }
    Ok(Compiled {
        domain: schema.domain(),
        uses: Uses::of(reading.policies.policies()),
        policies: reading.policies,
        rules: reading.rules,
        depth: reading.depth,
        types: schema.types.clone(),
        authorizer: Authorizer::new(),
    })
}

impl Compiled {
    /// What it can be asked about.
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// What its rules read.
    pub const fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Its rules, in the order in which they were handed over.
    pub fn rules(&self) -> Vec<&Rule> {
        let mut rules: Vec<_> = self.rules.values().collect();
        rules.sort_by_key(|rule| rule.order);
        rules
    }
}

#[derive(Default)]
struct Reading {
    policies: PolicySet,
    rules: HashMap<PolicyId, Rule>,
    /// Which source a rule is of.
    origins: HashMap<PolicyId, usize>,
    sources: usize,
    depth: usize,
    faults: Vec<Fault>,
}

impl Reading {
    fn read(&mut self, source: &Source<'_>) {
        self.sources += 1;
        let Source { name, text } = *source;
        if text.len() > LARGEST_TEXT {
            let said = format!("the text has more than {LARGEST_TEXT} bytes");
            let fault = Fault::at(name, text, LARGEST_TEXT, said);
            self.faults.push(fault.help("make two policies of it"));
            return;
        }
        match measure(text) {
            Ok(depth) => self.depth = self.depth.max(depth),
            Err((offset, said)) => {
                let fault = Fault::at(name, text, offset, said);
                self.faults
                    .push(fault.help("make two rules of it, or a set: [a, b].contains(c)"));
                return;
            }
        }
        let parsed = match text.parse::<PolicySet>() {
            Ok(parsed) => parsed,
            Err(errors) => {
                let faults = errors.iter().map(|error| Fault::of(name, text, error));
                self.faults.extend(faults);
                return;
            }
        };
        // Cedar numbers the rules of a text in their order, templates among them.
        let count = parsed.num_of_policies() + parsed.num_of_templates();
        let mut cursor = 0;
        for number in 0..count {
            let id = PolicyId::new(format!("policy{number}"));
            if let Some(template) = parsed.template(&id) {
                let offset = find(text, cursor, &template.to_string());
                let said = "the rule has a slot, which nothing fills";
                let fault = Fault::at(name, text, offset, said);
                self.faults.push(fault.help(
                    "write the principal or resource instead of `?principal` or `?resource`",
                ));
            } else if let Some(policy) = parsed.policy(&id) {
                let written = policy.to_string();
                let offset = find(text, cursor, &written);
                cursor = offset + written.len();
                self.add(source, number + 1, offset, policy);
            }
        }
    }

    fn add(&mut self, source: &Source<'_>, number: usize, offset: usize, policy: &Policy) {
        let Source { name, text } = *source;
        if self.rules.len() == MOST_RULES {
            let said = format!("there are more than {MOST_RULES} rules");
            self.faults.push(Fault::at(name, text, offset, said));
        }
        if self.rules.len() >= MOST_RULES {
            return;
        }
        let named = match policy.annotation("id") {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => format!("{name}:{number}"),
        };
        let id = PolicyId::new(&named);
        if let Some(other) = self.rules.get(&id) {
            let said = format!(
                "another rule has the name {named:?}: line {} of {}",
                other.line, other.policy
            );
            let fault = Fault::at(name, text, offset, said);
            self.faults
                .push(fault.help("give one of them another `@id`"));
            return;
        }
        if let Err(error) = self.policies.add(policy.new_id(id.clone())) {
            self.faults.push(Fault::of(name, text, &error));
            return;
        }
        let rule = Rule {
            name: named.into(),
            policy: name.into(),
            line: position(text, offset).0,
            forbids: policy.effect() == Effect::Forbid,
            order: self.rules.len(),
        };
        self.origins.insert(id.clone(), self.sources - 1);
        self.rules.insert(id, rule);
    }

    fn validate(&mut self, sources: &[Source<'_>], schema: &Schema) {
        let result = schema
            .validator
            .validate(&self.policies, ValidationMode::Strict);
        let errors = result.validation_errors();
        let mut found: Vec<(&PolicyId, Fault)> = Vec::new();
        for error in errors {
            let mut fault = self.located(sources, error.policy_id(), error);
            if let (Some((_, fault)), ValidationError::UnrecognizedActionId(_)) =
                (&mut fault, error)
            {
                // Cedar proposes another one each time.
                fault.help = Some("the schema has all actions that there are".into());
            }
            found.extend(fault);
        }
        let wrong: HashSet<&PolicyId> = found.iter().map(|(id, _)| *id).collect();
        for warning in result.validation_warnings() {
            // A rule that cannot be understood can never apply.
            let help = help_for(warning).filter(|_| !wrong.contains(warning.policy_id()));
            if let Some(help) = help {
                let fault = self.located(sources, warning.policy_id(), warning);
                found.extend(fault.map(|(id, fault)| (id, fault.help(help))));
            }
        }
        // One mistake is found once for each kind of principal and each action; one of them is said.
        found.sort_by(|(one, a), (other, b)| {
            let places = (a.line, a.column, &a.text).cmp(&(b.line, b.column, &b.text));
            self.order(one).cmp(&self.order(other)).then(places)
        });
        let mut faults: Vec<Fault> = found.into_iter().map(|(_, fault)| fault).collect();
        faults.dedup_by_key(|fault| (fault.policy.clone(), fault.line, fault.column));
        self.faults.extend(faults);
    }

    fn located<'i>(
        &self,
        sources: &[Source<'_>],
        id: &'i PolicyId,
        said: &dyn Diagnostic,
    ) -> Option<(&'i PolicyId, Fault)> {
        let source = sources.get(*self.origins.get(id)?)?;
        let mut fault = Fault::of(source.name, source.text, said);
        // Cedar says which rule it is; the place says so already.
        let prefix = format!("for policy `{id}`, ");
        fault.text = fault.text.replacen(&prefix, "", 1);
        fault.help = fault.help.map(|help| help.replacen(&prefix, "", 1));
        Some((id, fault))
    }

    fn order(&self, id: &PolicyId) -> usize {
        self.rules.get(id).map_or(usize::MAX, |rule| rule.order)
    }
}

/// What to do about a warning that is a mistake here. Others are of letters that look alike, which
/// people's names have.
fn help_for(warning: &ValidationWarning) -> Option<&'static str> {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) => {
            Some("no request can meet its conditions: correct them, or remove the rule")
        }
        ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
            Some("remove the characters that change the direction of what is read")
        }
        _ => None,
    }
}

/// Where a rule begins, from `cursor` on.
fn find(text: &str, cursor: usize, rule: &str) -> usize {
    let rest = text.get(cursor..).unwrap_or_default();
    rest.find(rule).map_or(cursor, |offset| cursor + offset)
}
