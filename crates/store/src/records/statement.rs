//! A statement and its values, before an engine sees it.

use std::fmt::Write as _;

use super::value::Value;

/// SQL of the subset that both engines share, with its values in order.
///
/// Text only ever comes from this program ([`Statement::push`] takes `'static`); what a caller was
/// given by others can only become a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    text: String,
    values: Vec<Bound>,
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    One(Value),
    /// A column of many rows, as an array; only PostgreSQL has these.
    Column(Vec<Value>),
}

impl Statement {
    pub(crate) fn new(text: &'static str) -> Self {
        let mut statement = Self::default();
        statement.push(text);
        statement
    }

    /// Goes on with `text`, in which each `?` is the next of the values that follow.
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        let mut number = self.values.len();
        for (at, piece) in text.split('?').enumerate() {
            if at > 0 {
                number += 1;
                let _ = write!(self.text, "${number}");
            }
            self.text.push_str(piece);
        }
        self
    }

    /// Goes on with the name of a table or column, as the engine's catalogue has it.
    pub(crate) fn push_name(&mut self, name: &str) -> &mut Self {
        let _ = write!(self.text, "\"{}\"", name.replace('"', "\"\""));
        self
    }

    /// Goes on with a placeholder and its value.
    pub(crate) fn push_value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.push_bound(Bound::One(value.into()))
    }

    /// Goes on with a placeholder for an array of these values, all of one kind.
    pub(crate) fn push_column(&mut self, values: Vec<Value>) -> &mut Self {
        self.push_bound(Bound::Column(values))
    }

    fn push_bound(&mut self, bound: Bound) -> &mut Self {
        self.values.push(bound);
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// The value of the next `?` of the text that was pushed last.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(Bound::One(value.into()));
        self
    }

    /// The same, at the end of a statement that is built in one go.
    pub(crate) fn with(mut self, value: impl Into<Value>) -> Self {
        self.bind(value);
        self
    }

    pub(crate) fn into_parts(self) -> (String, Vec<Bound>) {
        (self.text, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_through() {
        let mut statement = Statement::new("SELECT a FROM t WHERE b = ? AND c = ?");
        statement.bind("x").bind(2_i64);
        statement.push(" AND d IN (");
        statement.push_value(true).push(", ").push_value(false);
        statement.push(") AND e < ?").bind(None::<i64>);
        let (text, values) = statement.into_parts();
        assert_eq!(
            text,
            "SELECT a FROM t WHERE b = $1 AND c = $2 AND d IN ($3, $4) AND e < $5"
        );
        assert_eq!(values.len(), 5);
        assert_eq!(values[4], Bound::One(Value::Int(None)));
    }
}
