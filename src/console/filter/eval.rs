//! The evaluation of a filter. An expression has any number of results, which are passed to a function one by one.

#![allow(clippy::ptr_arg, reason = "a reference to a Value would lose the lifetime of the input")]

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow;

use serde_json::Value;

use super::parse::{Comparison, Expression, Function, Operation, Variable, number_value};
use super::{Failed, Input};

/// The number of steps of one evaluation. A step is an expression or a value, or [`BYTES_PER_STEP`] bytes of one.
const MAX_STEPS: usize = 100_000;
const BYTES_PER_STEP: usize = 64;

/// What becomes of the results of an expression; `Break` if no further ones are needed.
type Sink<'a, 's> = &'s mut dyn FnMut(Cow<'a, Value>) -> Result<ControlFlow<()>, Failed>;

struct Evaluation<'a> {
    input: &'a Input,
    steps: std::cell::Cell<usize>,
}

/// Whether a result is neither false nor null.
pub fn any_truthy(expression: &Expression, input: &Input) -> Result<bool, Failed> {
    let evaluation = Evaluation { input, steps: std::cell::Cell::new(0) };
    let value = Cow::Borrowed(&input.value);
    evaluation.any(expression, &value)
}

fn is_truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

impl<'a> Evaluation<'a> {
    fn step(&self, count: usize) -> Result<(), Failed> {
        let steps = self.steps.get().saturating_add(count);
        self.steps.set(steps);
        if steps > MAX_STEPS { Err(Failed::TooManySteps) } else { Ok(()) }
    }

    /// Whether a result of `expression` is truthy.
    fn any(&self, expression: &Expression, value: &Cow<'a, Value>) -> Result<bool, Failed> {
        let mut found = false;
        let _ = self.run(expression, value, &mut |result| {
            found = is_truthy(&result);
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }

    /// Passes the results for the cartesian product of two expressions' results.
    fn pairs(
        &self,
        left: &Expression,
        right: &Expression,
        value: &Cow<'a, Value>,
        sink: Sink<'a, '_>,
        combine: &dyn Fn(&Value, &Value) -> Result<Value, Failed>,
    ) -> Result<ControlFlow<()>, Failed> {
        self.run(right, value, &mut |right| {
            self.run(left, value, &mut |left| {
                self.step(size(&left) / BYTES_PER_STEP)?;
                sink(Cow::Owned(combine(&left, &right)?))
            })
        })
    }

    fn run(
        &self,
        expression: &Expression,
        value: &Cow<'a, Value>,
        sink: Sink<'a, '_>,
    ) -> Result<ControlFlow<()>, Failed> {
        self.step(1)?;
        match expression {
            Expression::Identity => sink(self.share(value)?),
            Expression::Variable(variable) => sink(Cow::Borrowed(match variable {
                Variable::Key => &self.input.key,
                Variable::Headers => &self.input.headers,
                Variable::Partition => &self.input.partition,
                Variable::Offset => &self.input.offset,
                Variable::Timestamp => &self.input.timestamp,
            })),
            Expression::Literal(literal) => sink(Cow::Owned(literal.clone())),
            Expression::Field(target, name) => {
                self.run(target, value, &mut |target| sink(self.member(target, &Value::String(name.clone()))?))
            }
            Expression::Index(target, index) => self.run(index, value, &mut |index| {
                self.run(target, value, &mut |target| sink(self.member(target, &index)?))
            }),
            Expression::Each(target) => self.run(target, value, &mut |target| self.each(target, sink)),
            Expression::Try(inner) => match self.run(inner, value, sink) {
                Err(Failed::Type) => Ok(ControlFlow::Continue(())),
                other => other,
            },
            Expression::Pipe(left, right) => self.run(left, value, &mut |result| self.run(right, &result, sink)),
            Expression::And(left, right) => self.run(left, value, &mut |left| match is_truthy(&left) {
                false => sink(Cow::Owned(Value::Bool(false))),
                true => self.run(right, value, &mut |right| sink(Cow::Owned(Value::Bool(is_truthy(&right))))),
            }),
            Expression::Or(left, right) => self.run(left, value, &mut |left| match is_truthy(&left) {
                true => sink(Cow::Owned(Value::Bool(true))),
                false => self.run(right, value, &mut |right| sink(Cow::Owned(Value::Bool(is_truthy(&right))))),
            }),
            Expression::Alternative(left, right) => self.alternative(left, right, value, sink),
            Expression::Compare(comparison, left, right) => {
                self.pairs(left, right, value, sink, &|left, right| Ok(Value::Bool(holds(*comparison, left, right))))
            }
            Expression::Arithmetic(operation, left, right) => {
                self.pairs(left, right, value, sink, &|left, right| arithmetic(*operation, left, right))
            }
            Expression::Negative(inner) => self.run(inner, value, &mut |result| {
                let number = result.as_f64().ok_or(Failed::Type)?;
                sink(Cow::Owned(number_value(-number)))
            }),
            Expression::Test(regex) => {
                let text = value.as_str().ok_or(Failed::Type)?;
                self.step(text.len() / BYTES_PER_STEP)?;
                sink(Cow::Owned(Value::Bool(regex.is_match(text))))
            }
            Expression::Call(function, argument) => self.call(*function, argument, value, sink),
        }
    }

    /// A copy, which costs nothing for parts of the input.
    fn share(&self, value: &Cow<'a, Value>) -> Result<Cow<'a, Value>, Failed> {
        if let Cow::Owned(owned) = value {
            self.step(size(owned) / BYTES_PER_STEP)?;
        }
        Ok(value.clone())
    }

    /// `target[index]`; null if there is no such member.
    fn member(&self, target: Cow<'a, Value>, index: &Value) -> Result<Cow<'a, Value>, Failed> {
        let position = |length: usize| {
            let index = index.as_i64()?;
            let index = if index < 0 { index.checked_add_unsigned(length as u64)? } else { index };
            usize::try_from(index).ok()
        };
        let found = match (target, index) {
            (Cow::Borrowed(Value::Null), _) | (Cow::Owned(Value::Null), _) => None,
            (Cow::Borrowed(Value::Object(fields)), Value::String(name)) => fields.get(name).map(Cow::Borrowed),
            (Cow::Borrowed(Value::Array(items)), Value::Number(_)) => {
                position(items.len()).and_then(|at| items.get(at)).map(Cow::Borrowed)
            }
            (Cow::Owned(Value::Object(mut fields)), Value::String(name)) => fields.remove(name).map(Cow::Owned),
            (Cow::Owned(Value::Array(items)), Value::Number(_)) => {
                let at = position(items.len());
                at.and_then(|at| items.into_iter().nth(at)).map(Cow::Owned)
            }
            _ => return Err(Failed::Type),
        };
        Ok(found.unwrap_or(Cow::Owned(Value::Null)))
    }

    fn each(&self, target: Cow<'a, Value>, sink: Sink<'a, '_>) -> Result<ControlFlow<()>, Failed> {
        let mut pass = |item: Cow<'a, Value>| {
            self.step(1)?;
            sink(item)
        };
        macro_rules! pass_all {
            ($items:expr, $wrap:expr) => {{
                for item in $items {
                    if pass($wrap(item))?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }};
        }
        match target {
            Cow::Borrowed(Value::Array(items)) => pass_all!(items, Cow::Borrowed),
            Cow::Borrowed(Value::Object(fields)) => pass_all!(fields.values(), Cow::Borrowed),
            Cow::Owned(Value::Array(items)) => pass_all!(items, Cow::Owned),
            Cow::Owned(Value::Object(fields)) => pass_all!(fields.into_iter().map(|(_, item)| item), Cow::Owned),
            _ => Err(Failed::Type),
        }
    }

    /// The truthy results of `left`; those of `right` if there are none.
    fn alternative(
        &self,
        left: &Expression,
        right: &Expression,
        value: &Cow<'a, Value>,
        sink: Sink<'a, '_>,
    ) -> Result<ControlFlow<()>, Failed> {
        let mut found = false;
        let flow = self.run(left, value, &mut |result| match is_truthy(&result) {
            true => {
                found = true;
                sink(result)
            }
            false => Ok(ControlFlow::Continue(())),
        });
        match flow {
            Err(Failed::TooManySteps) => Err(Failed::TooManySteps),
            Ok(flow) if found => Ok(flow),
            _ if found => Ok(ControlFlow::Continue(())),
            _ => self.run(right, value, sink),
        }
    }

    fn call(
        &self,
        function: Function,
        argument: &Expression,
        value: &Cow<'a, Value>,
        sink: Sink<'a, '_>,
    ) -> Result<ControlFlow<()>, Failed> {
        match function {
            Function::Empty => return Ok(ControlFlow::Continue(())),
            Function::Select => {
                return self.run(argument, value, &mut |result| match is_truthy(&result) {
                    true => sink(self.share(value)?),
                    false => Ok(ControlFlow::Continue(())),
                });
            }
            Function::Any | Function::All => {
                let wanted = function == Function::Any;
                let mut outcome = !wanted;
                let _ = self.each(self.share(value)?, &mut |item| {
                    if self.any(argument, &item)? == wanted {
                        outcome = wanted;
                        return Ok(ControlFlow::Break(()));
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                return sink(Cow::Owned(Value::Bool(outcome)));
            }
            Function::Has | Function::Contains | Function::StartsWith | Function::EndsWith => {
                return self.run(argument, value, &mut |argument| {
                    self.step(size(value) / BYTES_PER_STEP)?;
                    sink(Cow::Owned(Value::Bool(relates(function, value, &argument)?)))
                });
            }
            _ => {}
        }
        self.step(size(value) / BYTES_PER_STEP)?;
        sink(Cow::Owned(converted(function, value)?))
    }
}

/// The result of a function without an argument.
fn converted(function: Function, value: &Value) -> Result<Value, Failed> {
    let text = || value.as_str().ok_or(Failed::Type);
    Ok(match function {
        Function::Not => Value::Bool(!is_truthy(value)),
        Function::Length => match value {
            Value::Null => Value::from(0),
            Value::String(text) => Value::from(text.chars().count()),
            Value::Array(items) => Value::from(items.len()),
            Value::Object(fields) => Value::from(fields.len()),
            Value::Number(number) => number_value(number.as_f64().ok_or(Failed::Type)?.abs()),
            Value::Bool(_) => return Err(Failed::Type),
        },
        Function::Type => Value::from(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }),
        Function::ToNumber => match value {
            Value::Number(_) => value.clone(),
            Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_number).ok_or(Failed::Type)?,
            _ => return Err(Failed::Type),
        },
        Function::ToString => match value {
            Value::String(_) => value.clone(),
            other => Value::String(other.to_string()),
        },
        Function::AsciiDowncase => Value::String(text()?.to_ascii_lowercase()),
        Function::AsciiUpcase => Value::String(text()?.to_ascii_uppercase()),
        Function::FromJson => serde_json::from_str(text()?).map_err(|_| Failed::Type)?,
        _ => return Err(Failed::Type),
    })
}

/// Whether a value has, contains, starts or ends with another.
fn relates(function: Function, value: &Value, other: &Value) -> Result<bool, Failed> {
    match (function, value, other) {
        (Function::Has, Value::Object(fields), Value::String(name)) => Ok(fields.contains_key(name)),
        (Function::Has, Value::Array(items), Value::Number(index)) => {
            Ok(index.as_u64().is_some_and(|index| index < items.len() as u64))
        }
        (Function::StartsWith, Value::String(text), Value::String(start)) => Ok(text.starts_with(start.as_str())),
        (Function::EndsWith, Value::String(text), Value::String(end)) => Ok(text.ends_with(end.as_str())),
        (Function::Contains, value, other) => Ok(contains(value, other)),
        _ => Err(Failed::Type),
    }
}

/// As jq: a string contains a substring, an array something for each item, an object something for each field.
fn contains(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), Value::Array(parts)) => {
            parts.iter().all(|part| items.iter().any(|item| contains(item, part)))
        }
        (Value::Object(fields), Value::Object(parts)) => {
            parts.iter().all(|(name, part)| fields.get(name).is_some_and(|field| contains(field, part)))
        }
        (value, other) => order(value, other) == Ordering::Equal,
    }
}

fn holds(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let order = order(left, right);
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

/// As jq: null, false, true, numbers, strings, arrays, objects.
fn order(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    };
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
        },
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => {
            let unequal = left.iter().zip(right).map(|(left, right)| order(left, right)).find(|it| it.is_ne());
            unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => {
            let unequal = left
                .iter()
                .zip(right)
                .map(|((name, field), (other, value))| name.cmp(other).then_with(|| order(field, value)));
            unequal.into_iter().find(|it| it.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

fn arithmetic(operation: Operation, left: &Value, right: &Value) -> Result<Value, Failed> {
    let (left, right) = left.as_f64().zip(right.as_f64()).ok_or(Failed::Type)?;
    let result = match operation {
        Operation::Add => left + right,
        Operation::Subtract => left - right,
        Operation::Multiply => left * right,
        Operation::Divide | Operation::Remainder if right == 0.0 => return Err(Failed::Type),
        Operation::Divide => left / right,
        Operation::Remainder => left % right,
    };
    Ok(number_value(result))
}

/// About the number of bytes that a value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => BYTES_PER_STEP + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => BYTES_PER_STEP + fields.values().map(size).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}
