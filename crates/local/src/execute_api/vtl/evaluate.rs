//! Renders a tree: directives, references, expressions.

use std::collections::HashMap;
use std::rc::Rc;

use super::ast::{Expression, Node, Reference, Step};
use super::heap::{Entries, Heap, Value};
use super::json;
use super::show::{check_output, show};
use super::{Environment, RenderError};

/// Of one `#foreach` ("Quotas", API Gateway developer guide: 1,000 iterations of a loop in a mapping template).
const MAX_ITERATIONS: usize = 1_000;

/// Nodes rendered in all, which bounds loops in loops to a fraction of a second.
const MAX_STEPS: usize = 1_000_000;

/// Renders a template.
pub(super) fn render(nodes: &[Node], environment: &dyn Environment) -> Result<String, RenderError> {
    let mut evaluator = Evaluator {
        environment,
        heap: Heap::default(),
        variables: HashMap::new(),
        loops: Vec::new(),
        steps: 0,
        body: None,
        context: None,
        stage_variables: None,
    };
    let mut out = String::with_capacity(256);
    evaluator.run(nodes, &mut out)?;
    Ok(out)
}

/// Whether rendering goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Stop,
}

/// Where a `#foreach` is.
#[derive(Clone, Copy, Debug)]
struct Loop {
    index: usize,
    length: usize,
}

pub(super) struct Evaluator<'a> {
    pub(super) environment: &'a dyn Environment,
    pub(super) heap: Heap,
    variables: HashMap<Box<str>, Value>,
    loops: Vec<Loop>,
    steps: usize,
    /// The body as a value, read when it is first asked for.
    pub(super) body: Option<Value>,
    context: Option<Value>,
    stage_variables: Option<Value>,
}

impl Evaluator<'_> {
    fn run(&mut self, nodes: &[Node], out: &mut String) -> Result<Flow, RenderError> {
        for node in nodes {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(RenderError::Template(format!("the template takes more than {MAX_STEPS} steps")));
            }
            match node {
                Node::Text(text) => {
                    out.push_str(text);
                    check_output(out)?;
                }
                Node::Reference(reference, backslashes) => self.show_reference(reference, *backslashes, out)?,
                Node::Set(target, value) => {
                    let value = self.evaluate(value)?;
                    self.set(target, value)?;
                }
                Node::If(branches, otherwise) => {
                    let flow = self.run_condition(branches, otherwise, out)?;
                    if flow != Flow::On {
                        return Ok(flow);
                    }
                }
                Node::Foreach { name, over, body } => {
                    if self.run_foreach(name, over, body, out)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Node::Break => return Ok(Flow::Break),
                Node::Stop => return Ok(Flow::Stop),
            }
        }
        Ok(Flow::On)
    }

    fn run_condition(
        &mut self,
        branches: &[(Expression, Vec<Node>)],
        otherwise: &[Node],
        out: &mut String,
    ) -> Result<Flow, RenderError> {
        for (condition, body) in branches {
            if self.evaluate(condition)?.is_true() {
                return self.run(body, out);
            }
        }
        self.run(otherwise, out)
    }

    fn run_foreach(
        &mut self,
        name: &str,
        over: &Expression,
        body: &[Node],
        out: &mut String,
    ) -> Result<Flow, RenderError> {
        let items = match self.evaluate(over)? {
            Value::List(list) => self.heap.items(list).to_vec(),
            Value::Map(map) | Value::Lenient(map) => {
                self.heap.entries(map).items().iter().map(|(_, value)| value.clone()).collect()
            }
            _ => return Ok(Flow::On),
        };
        if items.len() > MAX_ITERATIONS {
            let message = format!("`#foreach` over {} items, and API Gateway allows {MAX_ITERATIONS}", items.len());
            return Err(RenderError::Template(message));
        }
        let outer = self.variables.remove(name);
        self.loops.push(Loop { index: 0, length: items.len() });
        let mut ended = Flow::On;
        for (index, item) in items.into_iter().enumerate() {
            if let Some(state) = self.loops.last_mut() {
                state.index = index;
            }
            self.variables.insert(name.into(), item);
            ended = self.run(body, out)?;
            if ended != Flow::On {
                break;
            }
        }
        self.loops.pop();
        match outer {
            Some(outer) => self.variables.insert(name.into(), outer),
            None => self.variables.remove(name),
        };
        Ok(if ended == Flow::Stop { Flow::Stop } else { Flow::On })
    }

    fn show_reference(
        &mut self,
        reference: &Reference,
        backslashes: usize,
        out: &mut String,
    ) -> Result<(), RenderError> {
        let value = self.resolve(reference)?;
        if matches!(value, Value::Null) {
            // Backslashes before what has no value are not taken for escapes.
            out.extend(std::iter::repeat_n('\\', backslashes));
            if !reference.quiet {
                out.push_str(&reference.source);
            }
            return Ok(());
        }
        out.extend(std::iter::repeat_n('\\', backslashes / 2));
        if backslashes % 2 == 1 {
            out.push_str(&reference.source);
            return Ok(());
        }
        show(&value, &self.heap, out)
    }

    pub(super) fn evaluate(&mut self, expression: &Expression) -> Result<Value, RenderError> {
        Ok(match expression {
            Expression::Null => Value::Null,
            Expression::Boolean(value) => Value::Boolean(*value),
            Expression::Number(text) => Value::Number(Rc::from(&**text)),
            Expression::Text(text) => self.heap.text(&**text)?,
            Expression::Interpolated(nodes) => {
                let mut text = String::new();
                self.run(nodes, &mut text)?;
                self.heap.text(text)?
            }
            Expression::List(items) => {
                let items = items.iter().map(|item| self.evaluate(item)).collect::<Result<_, _>>()?;
                self.heap.list(items)?
            }
            Expression::Range(ends) => {
                let (first, last) = (self.evaluate(&ends.0)?, self.evaluate(&ends.1)?);
                self.range(&first, &last)?
            }
            Expression::Map(pairs) => {
                let mut entries = Entries::default();
                for (key, value) in pairs {
                    let key = self.evaluate(key)?;
                    let key = self.shown(&key)?;
                    let value = self.evaluate(value)?;
                    entries.put(key, value);
                }
                self.heap.map(entries)?
            }
            Expression::Reference(reference) => self.resolve(reference)?,
            Expression::Not(inner) => Value::Boolean(!self.evaluate(inner)?.is_true()),
            Expression::Negative(inner) => {
                let value = self.evaluate(inner)?;
                self.negative(&value)
            }
            Expression::Binary(operator, sides) => self.binary(*operator, &sides.0, &sides.1)?,
        })
    }

    /// The value of a reference, `Null` where there is none.
    pub(super) fn resolve(&mut self, reference: &Reference) -> Result<Value, RenderError> {
        let mut steps = reference.steps.as_slice();
        let mut value = match self.variables.get(&*reference.name) {
            Some(value) => value.clone(),
            None if &*reference.name == "foreach" => return Ok(self.loop_state(steps)),
            None => self.global(&reference.name)?,
        };
        while let Some((step, rest)) = steps.split_first() {
            if matches!(value, Value::Null) {
                break;
            }
            value = self.step(&value, step)?;
            steps = rest;
        }
        Ok(value)
    }

    fn step(&mut self, value: &Value, step: &Step) -> Result<Value, RenderError> {
        match step {
            Step::Property(name) => Ok(self.property(value, name)),
            Step::Index(index) => {
                let index = self.evaluate(index)?;
                self.indexed(value, &index)
            }
            Step::Method(name, arguments) => {
                let arguments =
                    arguments.iter().map(|argument| self.evaluate(argument)).collect::<Result<Vec<_>, _>>()?;
                self.call(value, name, &arguments)
            }
        }
    }

    /// What is there without being set.
    fn global(&mut self, name: &str) -> Result<Value, RenderError> {
        match name {
            "input" => Ok(Value::Input),
            "util" => Ok(Value::Util),
            "context" => {
                if self.context.is_none() {
                    self.context = Some(self.lenient(&self.environment.context())?);
                }
                Ok(self.context.clone().unwrap_or(Value::Null))
            }
            "stageVariables" => {
                if self.stage_variables.is_none() {
                    self.stage_variables = Some(self.lenient(&self.environment.stage_variables())?);
                }
                Ok(self.stage_variables.clone().unwrap_or(Value::Null))
            }
            "velocityCount" => Ok(self.loops.last().map_or(Value::Null, |state| Value::number(state.index + 1))),
            _ => Ok(Value::Null),
        }
    }

    /// A value in which a missing member is an empty text, as API Gateway renders `$context.authorizer.principalId`.
    pub(super) fn lenient(&mut self, value: &serde_json::Value) -> Result<Value, RenderError> {
        Ok(match self.heap.import(value)? {
            Value::Map(map) => Value::Lenient(map),
            other => other,
        })
    }

    fn loop_state(&self, steps: &[Step]) -> Value {
        let mut place = self.loops.len();
        for step in steps {
            let Some(state) = place.checked_sub(1).map(|at| self.loops[at]) else { return Value::Null };
            let name = match step {
                Step::Property(name) | Step::Method(name, _) => &**name,
                Step::Index(_) => return Value::Null,
            };
            match name {
                "parent" => place -= 1,
                "hasNext" => return Value::Boolean(state.index + 1 < state.length),
                "first" => return Value::Boolean(state.index == 0),
                "last" => return Value::Boolean(state.index + 1 == state.length),
                "index" => return Value::number(state.index),
                "count" => return Value::number(state.index + 1),
                _ => return Value::Null,
            }
        }
        Value::Null
    }

    /// Velocity does not set what has no value: the target keeps what it had.
    fn set(&mut self, target: &Reference, value: Value) -> Result<(), RenderError> {
        if matches!(value, Value::Null) {
            return Ok(());
        }
        let Some((last, before)) = target.steps.split_last() else {
            self.heap.charge(target.name.len() + 24)?;
            self.variables.insert(target.name.clone(), value);
            return Ok(());
        };
        if &*target.name == "context" && !self.variables.contains_key("context") {
            return self.set_context(&target.steps, &value);
        }
        let holder = Reference { steps: before.to_vec(), ..target.clone() };
        let holder = self.resolve(&holder)?;
        let key = match last {
            Step::Property(name) => Value::text(&**name),
            Step::Index(index) => self.evaluate(index)?,
            // The parser refuses it.
            Step::Method(..) => return Ok(()),
        };
        self.put(&holder, &key, value)
    }

    fn set_context(&mut self, steps: &[Step], value: &Value) -> Result<(), RenderError> {
        let mut path = Vec::new();
        for step in steps {
            match step {
                Step::Property(name) => path.push(name.to_string()),
                Step::Index(index) => {
                    let key = self.evaluate(index)?;
                    path.push(self.shown(&key)?.to_string());
                }
                Step::Method(..) => return Ok(()),
            }
        }
        let mut text = String::new();
        json::write(value, &self.heap, &mut text)?;
        let value = serde_json::from_str(&text).map_err(|error| RenderError::Template(error.to_string()))?;
        self.environment.set_context(&path, value);
        // Read anew, with the change in it.
        self.context = None;
        Ok(())
    }

    /// A value as text.
    pub(super) fn shown(&mut self, value: &Value) -> Result<Rc<str>, RenderError> {
        if let Value::Text(text) | Value::Number(text) = value {
            return Ok(Rc::clone(text));
        }
        let mut text = String::new();
        show(value, &self.heap, &mut text)?;
        self.heap.charge(text.len())?;
        Ok(text.into())
    }
}
