//! A template as a tree.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(Box<str>),
    /// With the number of backslashes before it, which decide whether it is meant literally.
    Reference(Reference, usize),
    Set(Reference, Expression),
    /// The first branch whose condition holds, else the last part.
    If(Vec<(Expression, Vec<Node>)>, Vec<Node>),
    Foreach {
        name: Box<str>,
        over: Expression,
        body: Vec<Node>,
    },
    Break,
    Stop,
}

/// `$name.step.step`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference {
    pub(super) name: Box<str>,
    pub(super) steps: Vec<Step>,
    /// `$!name`: no value is no text.
    pub(super) quiet: bool,
    /// As written, which is what a reference without a value renders as.
    pub(super) source: Box<str>,
}

/// One step away from a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Property(Box<str>),
    Method(Box<str>, Vec<Expression>),
    Index(Expression),
}

/// What has a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Null,
    Boolean(bool),
    Number(Box<str>),
    Text(Box<str>),
    /// A string in double quotes with references or directives in it.
    Interpolated(Vec<Node>),
    List(Vec<Expression>),
    Range(Box<(Expression, Expression)>),
    Map(Vec<(Expression, Expression)>),
    Reference(Reference),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<(Expression, Expression)>),
}

/// An operator between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}
