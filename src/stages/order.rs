//! Orders of records: the settings of `sort` and `top_k`, and how values compare. Owns the
//! comparison; knows nothing of where the records are.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use minijinja::Value;
use minijinja::value::ValueKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet};
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::record::Fields;
use crate::spec::decode::Src;

/// Which end comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The least first.
    #[default]
    Asc,
    /// The greatest first.
    Desc,
}

/// One order: by the value of an expression.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// A number, text or boolean. Numbers come before texts; null comes last either way.
    by: Src<Expr>,
    /// Ascending if left out.
    #[serde(default)]
    order: Direction,
}

/// Orders: an expression, `{by, order}`, or a list of those maps.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Orders(pub Vec<Order>);

impl JsonSchema for Orders {
    fn schema_name() -> Cow<'static, str> {
        "Orders".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let expr = generator.subschema_for::<Expr>();
        let order = generator.subschema_for::<Order>();
        json_schema!({
            "description": "An expression, `{by: expression, order: desc}`, or a list of such maps.",
            "anyOf": [expr, order, {"type": "array", "items": order, "minItems": 1}]
        })
    }
}

enum Shape {
    Expr(String),
    Orders(Vec<Order>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Shape, D::Error> {
        struct ShapeVisitor;
        impl<'de> Visitor<'de> for ShapeVisitor {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or `{by: expression, order: asc}`, or a list of such")
            }

            fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
                Ok(Shape::Expr(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Shape, A::Error> {
                let order = Order::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Shape::Orders(vec![order]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut orders = Vec::new();
                while let Some(order) = seq.next_element()? {
                    orders.push(order);
                }
                Ok(Shape::Orders(orders))
            }
        }
        d.deserialize_any(ShapeVisitor)
    }
}

impl<'de> Deserialize<'de> for Orders {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Orders, D::Error> {
        let shape = Src::<Shape>::deserialize(d)?;
        Ok(Orders(match shape.value {
            Shape::Orders(orders) => orders,
            Shape::Expr(text) => vec![Order {
                by: Src {
                    value: Expr(text),
                    span: shape.span,
                },
                order: Direction::Asc,
            }],
        }))
    }
}

impl Orders {
    /// Checks the expressions.
    pub fn check(&self, fields: &FieldSet, cx: &mut Check<'_>) {
        for order in &self.0 {
            cx.expr(&order.by, fields, &[]);
        }
    }

    /// Compiles the expressions.
    ///
    /// # Errors
    /// A diagnostic at the first that does not parse.
    pub fn sorter(&self, cx: &Build<'_>) -> Result<Sorter, Diagnostic> {
        let orders = self.0.iter();
        let orders = orders.map(|order| Ok((Bound::new(&order.by, cx)?, order.order)));
        Ok(Sorter {
            orders: orders.collect::<Result<_, Diagnostic>>()?,
            keys: Vec::new(),
        })
    }
}

/// What a record is sorted by.
pub enum SortKey {
    /// A number or boolean.
    Number(f64),
    /// Text.
    Text(Box<str>),
    /// Null.
    Missing,
}

impl SortKey {
    /// The key of a value.
    ///
    /// # Errors
    /// [`Fault::Record`] for values that have no order.
    pub fn of(value: &Value) -> Result<SortKey, Fault> {
        let number = match value.kind() {
            ValueKind::None => return Ok(SortKey::Missing),
            ValueKind::String => {
                return Ok(SortKey::Text(value.as_str().unwrap_or_default().into()));
            }
            ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
            ValueKind::Number => f64::try_from(value.clone()).ok(),
            _ => None,
        };
        match number {
            Some(number) if number.is_nan() => Ok(SortKey::Missing),
            // Adding zero makes -0.0 the same as 0.0.
            Some(number) => Ok(SortKey::Number(number + 0.0)),
            None => Err(Fault::Record(format!("cannot sort by {}", value.kind()))),
        }
    }

    /// Numbers come before texts; null comes last either way.
    pub fn compare(&self, other: &SortKey, direction: Direction) -> Ordering {
        let ascending = match (self, other) {
            (SortKey::Missing, SortKey::Missing) => return Ordering::Equal,
            (SortKey::Missing, _) => return Ordering::Greater,
            (_, SortKey::Missing) => return Ordering::Less,
            (SortKey::Number(a), SortKey::Number(b)) => a.total_cmp(b),
            (SortKey::Text(a), SortKey::Text(b)) => a.cmp(b),
            (SortKey::Number(_), SortKey::Text(_)) => Ordering::Less,
            (SortKey::Text(_), SortKey::Number(_)) => Ordering::Greater,
        };
        match direction {
            Direction::Asc => ascending,
            Direction::Desc => ascending.reverse(),
        }
    }
}

/// Collects what records are sorted by.
pub struct Sorter {
    orders: Vec<(Bound, Direction)>,
    keys: Vec<Vec<SortKey>>,
}

impl Sorter {
    /// Takes the next record's values.
    ///
    /// # Errors
    /// [`Fault::Record`] for values that have no order; the record then has no number.
    pub fn push(&mut self, fields: &Fields) -> Result<(), Fault> {
        let orders = self.orders.iter();
        let key = orders.map(|(by, _)| SortKey::of(&by.eval(fields)?));
        self.keys.push(key.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Forgets the last record.
    pub fn pop(&mut self) {
        self.keys.pop();
    }

    /// Numbers of the records, sorted by the first order, ties by the second, and so on; the
    /// last ties keep the order in which they came.
    pub fn sorted(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by(|&a, &b| {
            let each = self.orders.iter().enumerate();
            each.map(|(at, (_, direction))| self.keys[a][at].compare(&self.keys[b][at], *direction))
                .find(|ordering| ordering.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        order
    }

    /// One list of numbers for each order. Each starts from the list before it, so ties in it
    /// keep that one's order.
    pub fn lists(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        let each = self.orders.iter().enumerate();
        each.map(|(at, (_, direction))| {
            order.sort_by(|&a, &b| self.keys[a][at].compare(&self.keys[b][at], *direction));
            order.clone()
        })
        .collect()
    }
}
