//! One value out of many: sums, means, counts. Owns the arithmetic; knows nothing of groups.

use minijinja::Value;
use minijinja::value::ValueKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Check, Fault, FieldSet};
use super::sum::{Sum, number};
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::spec::decode::Src;

/// A value computed over the records of a group.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// How it is computed.
    #[serde(rename = "fn")]
    pub function: Function,
    /// What is computed of; only `count` can do without. Nulls are left out, except by
    /// `first`, `last` and `list`.
    #[serde(default)]
    pub of: Option<Src<Expr>>,
}

/// Ways to make one value of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// How many records; with `of`, how many of its values are not null.
    Count,
    /// The sum; whole if all values are.
    Sum,
    /// The mean; null of nothing.
    Mean,
    /// The least number; null of nothing.
    Min,
    /// The greatest number; null of nothing.
    Max,
    /// The first value; null of nothing.
    First,
    /// The last value; null of nothing.
    Last,
    /// All values.
    List,
}

impl Function {
    fn needs_numbers(self) -> bool {
        matches!(
            self,
            Function::Sum | Function::Mean | Function::Min | Function::Max
        )
    }

    /// Checks a value before it is added.
    ///
    /// # Errors
    /// [`Fault::Record`] when it is no number and must be one.
    pub fn accepts(self, name: &str, value: Option<&Value>) -> Result<(), Fault> {
        match value.map(Value::kind) {
            Some(ValueKind::Number | ValueKind::Bool | ValueKind::None) | None => Ok(()),
            Some(kind) if self.needs_numbers() => Err(Fault::Record(format!(
                "`{name}` needs numbers, found {kind}"
            ))),
            Some(_) => Ok(()),
        }
    }
}

impl Aggregate {
    /// Checks the expression.
    pub fn check(&self, name: &str, fields: &FieldSet, cx: &mut Check<'_>) {
        match &self.of {
            Some(of) => cx.expr(of, fields, &[]),
            None if self.function == Function::Count => {}
            None => cx.fault(
                Diagnostic::error(format!("the aggregate `{name}` does not say of what"))
                    .help("add `of:` with a field or an expression"),
            ),
        }
    }
}

/// A value in the making.
pub struct State {
    function: Function,
    count: u64,
    /// The sum while all values are whole.
    whole: Option<i128>,
    sum: Sum,
    /// The value that stands now, for those that choose one.
    chosen: Option<Value>,
    list: Vec<Value>,
}

impl State {
    /// The state before the first value.
    pub fn new(function: Function) -> State {
        State {
            function,
            count: 0,
            whole: Some(0),
            sum: Sum::default(),
            chosen: None,
            list: Vec::new(),
        }
    }

    /// Adds a record's value; none where there is no `of`.
    pub fn add(&mut self, value: Option<Value>) {
        let Some(value) = value else {
            self.count += 1;
            return;
        };
        match self.function {
            Function::First => {
                self.chosen.get_or_insert(value);
                return;
            }
            Function::Last => {
                self.chosen = Some(value);
                return;
            }
            Function::List => {
                self.list.push(value);
                return;
            }
            _ if value.is_none() => return,
            _ => self.count += 1,
        }
        let Some(number) = number(&value) else {
            return;
        };
        match self.function {
            Function::Min => self.choose(value, number, |new, old| new < old),
            Function::Max => self.choose(value, number, |new, old| new > old),
            Function::Sum | Function::Mean => self.sum(&value, number),
            _ => {}
        }
    }

    fn choose(&mut self, value: Value, new: f64, better: fn(f64, f64) -> bool) {
        let old = self.chosen.as_ref().and_then(number);
        if old.is_none_or(|old| better(new, old)) {
            self.chosen = Some(value);
        }
    }

    fn sum(&mut self, value: &Value, number: f64) {
        let whole = match value.kind() {
            ValueKind::Bool => Some(i128::from(value.is_true())),
            _ if value.is_integer() => i128::try_from(value.clone()).ok(),
            _ => None,
        };
        self.whole = match (self.whole, whole) {
            (Some(sum), Some(more)) => sum.checked_add(more),
            _ => None,
        };
        self.sum.add(number);
    }

    /// The value.
    pub fn result(self) -> Value {
        let total = self.sum.total();
        match self.function {
            Function::Count => Value::from(self.count),
            Function::Sum => match self.whole.map(i64::try_from) {
                Some(Ok(sum)) => Value::from(sum),
                _ => Value::from(total),
            },
            Function::Mean if self.count == 0 => Value::from(()),
            Function::Mean => Value::from(total / self.count as f64),
            Function::List => self.list.into_iter().collect(),
            Function::Min | Function::Max | Function::First | Function::Last => {
                self.chosen.unwrap_or(Value::from(()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: Function, values: &[Value]) -> String {
        let mut state = State::new(function);
        values
            .iter()
            .cloned()
            .for_each(|value| state.add(Some(value)));
        state.result().to_string()
    }

    #[test]
    fn sums_lose_little_and_stay_whole() {
        let tenths = vec![Value::from(0.1); 10];
        assert_eq!(of(Function::Sum, &tenths), "1.0");
        assert_eq!(of(Function::Mean, &tenths), "0.1");
        let mixed = [Value::from(true), Value::from(2), Value::from(())];
        assert_eq!(of(Function::Sum, &mixed), "3");
        assert_eq!(of(Function::Mean, &mixed), "1.5");
        assert_eq!(of(Function::Count, &mixed), "2");
        let large = [Value::from(1e300), Value::from(1.0), Value::from(-1e300)];
        assert_eq!(of(Function::Sum, &large), "1.0");
    }

    #[test]
    fn ends_and_extremes() {
        let values = [Value::from(()), Value::from(2), Value::from(1.5)];
        assert_eq!(of(Function::First, &values), "None");
        assert_eq!(of(Function::Last, &values), "1.5");
        assert_eq!(of(Function::Min, &values), "1.5");
        assert_eq!(of(Function::Max, &values), "2");
        assert_eq!(of(Function::Mean, &[]), "None");
    }
}
