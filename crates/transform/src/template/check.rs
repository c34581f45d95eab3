//! What is wrong with a template although it can be parsed.
//!
//! The template engine looks names up when it meets them, which may be in a branch that is taken once a
//! month. Here all of a template is looked at before it is ever run.

use minijinja::machinery::ast::{Call, CallArg, CallType, Expr, Spanned, Stmt};
use minijinja::machinery::{Span, parse};
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, State};

use super::{NAME, fault};
use crate::program::Fault;

/// Filters whose first argument can be the name of another one.
const TAKES_FILTER: [&str; 1] = ["map"];
/// Filters with an argument that can be the name of a test, and which of them it is.
const TAKES_TEST: [(&str, usize); 4] = [
    ("select", 0),
    ("reject", 0),
    ("selectattr", 1),
    ("rejectattr", 1),
];

/// Finds the first name that nothing has, or a tag that could gather text without end.
pub(super) fn check(source: &str, environment: &Environment<'_>) -> Result<(), Fault> {
    let template =
        parse(source, NAME, environment.syntax().clone()).map_err(|error| fault(&error))?;
    let mut check = Check {
        state: environment.empty_state(),
        functions: environment.globals().map(|(name, _)| name).collect(),
        variables: Vec::new(),
    };
    check.statement(&template)
}

struct Check<'e> {
    /// Looks filters and tests up.
    state: State<'e, 'e>,
    functions: Vec<&'e str>,
    /// What the template has given a value: it may be a function.
    variables: Vec<String>,
}

type Outcome = Result<(), Fault>;

fn wrong(span: Span, message: impl Into<String>) -> Outcome {
    Err(Fault {
        at: Some(span.start_offset as usize),
        message: message.into(),
    })
}

impl Check<'_> {
    fn statement(&mut self, statement: &Stmt<'_>) -> Outcome {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::ForLoop(each) => {
                if each.recursive {
                    return gathers(each.span());
                }
                self.expression(&each.iter)?;
                self.assign(&each.target);
                self.optional(each.filter_expr.as_ref())?;
                self.statements(&each.body)?;
                self.statements(&each.else_body)
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr)?;
                self.statements(&condition.true_body)?;
                self.statements(&condition.false_body)
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    self.expression(value)?;
                    self.assign(target);
                }
                self.statements(&with.body)
            }
            Stmt::Set(set) => {
                self.expression(&set.expr)?;
                self.assign(&set.target);
                Ok(())
            }
            Stmt::SetBlock(set) => gathers(set.span()),
            Stmt::FilterBlock(filter) => gathers(filter.span()),
            Stmt::AutoEscape(escape) => {
                self.expression(&escape.enabled)?;
                self.statements(&escape.body)
            }
            Stmt::Do(call) => self.call(&call.call),
        }
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) -> Outcome {
        statements
            .iter()
            .try_for_each(|statement| self.statement(statement))
    }

    fn assign(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(variable) => self.variables.push(variable.id.to_owned()),
            Expr::List(list) => list.items.iter().for_each(|item| self.assign(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.assign(item)),
            _ => {}
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) -> Outcome {
        match expression {
            Expr::Var(_) | Expr::Const(_) => Ok(()),
            Expr::Slice(slice) => {
                self.expression(&slice.expr)?;
                self.optional(slice.start.as_ref())?;
                self.optional(slice.stop.as_ref())?;
                self.optional(slice.step.as_ref())
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => {
                self.expression(&operation.left)?;
                self.expression(&operation.right)
            }
            Expr::Compare(comparison) => {
                self.expression(&comparison.expr)?;
                let mut operations = comparison.ops.iter();
                operations.try_for_each(|operation| self.expression(&operation.expr))
            }
            Expr::IfExpr(condition) => {
                self.expression(&condition.test_expr)?;
                self.expression(&condition.true_expr)?;
                self.optional(condition.false_expr.as_ref())
            }
            Expr::Filter(filter) => {
                self.optional(filter.expr.as_ref())?;
                self.filter(filter.name, filter.span())?;
                self.names_in_texts(filter.name, &filter.args)?;
                self.arguments(&filter.args)
            }
            Expr::Test(test) => {
                self.expression(&test.expr)?;
                self.test(test.name, test.span())?;
                self.arguments(&test.args)
            }
            Expr::GetAttr(get) => self.expression(&get.expr),
            Expr::GetItem(get) => {
                self.expression(&get.expr)?;
                self.expression(&get.subscript_expr)
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.expressions(&list.items),
            Expr::Tuple(tuple) => self.expressions(&tuple.items),
            Expr::Map(map) => {
                self.expressions(&map.keys)?;
                self.expressions(&map.values)
            }
        }
    }

    fn expressions(&mut self, expressions: &[Expr<'_>]) -> Outcome {
        expressions
            .iter()
            .try_for_each(|expression| self.expression(expression))
    }

    fn optional(&mut self, expression: Option<&Expr<'_>>) -> Outcome {
        expression.map_or(Ok(()), |expression| self.expression(expression))
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) -> Outcome {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value) => self.expression(value),
        })
    }

    fn call(&mut self, call: &Spanned<Call<'_>>) -> Outcome {
        match call.identify_call() {
            CallType::Function(name) => {
                let is_known = self.functions.contains(&name)
                    || self.variables.iter().any(|variable| variable == name);
                if !is_known {
                    return wrong(call.span(), format!("there is no function `{name}`"));
                }
            }
            CallType::Method(on, _) | CallType::Object(on) => self.expression(on)?,
        }
        self.arguments(&call.args)
    }

    /// Filters and tests that are named in a text, as in `map("upper")`.
    fn names_in_texts(&mut self, filter: &str, arguments: &[CallArg<'_>]) -> Outcome {
        let text = |at: usize| match arguments.get(at) {
            Some(CallArg::Pos(Expr::Const(text))) => Some((text.value.as_str()?, text.span())),
            _ => None,
        };
        if TAKES_FILTER.contains(&filter)
            && let Some((name, span)) = text(0)
        {
            return self.filter(name, span);
        }
        let takes_test = TAKES_TEST.iter().find(|(name, _)| *name == filter);
        match takes_test.and_then(|(_, at)| text(*at)) {
            Some((name, span)) => self.test(name, span),
            None => Ok(()),
        }
    }

    fn filter(&mut self, name: &str, span: Span) -> Outcome {
        // Called without anything: the one that is there asks for what it lacks.
        let tried = self.state.apply_filter(name, &[]);
        match tried {
            Err(error) if error.kind() == ErrorKind::UnknownFilter => {
                wrong(span, format!("there is no filter `{name}`"))
            }
            _ => Ok(()),
        }
    }

    fn test(&mut self, name: &str, span: Span) -> Outcome {
        let tried = self.state.perform_test(name, &[Value::UNDEFINED]);
        match tried {
            Err(error) if error.kind() == ErrorKind::UnknownTest => {
                wrong(span, format!("there is no test `{name}`"))
            }
            _ => Ok(()),
        }
    }
}

fn gathers(span: Span) -> Outcome {
    wrong(
        span,
        "a template here has no blocks that keep their text, and no recursive loops",
    )
}
