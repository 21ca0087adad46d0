//! The grammar of filters, by descending precedence: suffixes, `* / %`, `+ -`, comparisons, `and`, `or`, `//`, `|`.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::lexer::{Token, tokens};

/// How deep expressions may be nested.
const MAX_DEPTH: usize = 64;
/// The number of words of a filter, which bounds how deep its evaluation recurses.
const MAX_TOKENS: usize = 300;
/// The largest compiled regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub enum Expression {
    Identity,
    Variable(Variable),
    Literal(Value),
    /// `target.name`
    Field(Box<Expression>, String),
    /// `target[index]`
    Index(Box<Expression>, Box<Expression>),
    /// `target[]`
    Each(Box<Expression>),
    /// `target?`
    Try(Box<Expression>),
    Pipe(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Alternative(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Arithmetic(Operation, Box<Expression>, Box<Expression>),
    Negative(Box<Expression>),
    Call(Function, Box<Expression>),
    Test(Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    Key,
    Headers,
    Partition,
    Offset,
    Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A function. Its argument is `Identity` if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Not,
    Length,
    Type,
    ToNumber,
    ToString,
    AsciiDowncase,
    AsciiUpcase,
    FromJson,
    Select,
    Has,
    Contains,
    StartsWith,
    EndsWith,
    Any,
    All,
    Empty,
}

const FUNCTIONS: [(&str, Function, bool); 16] = [
    ("not", Function::Not, false),
    ("length", Function::Length, false),
    ("type", Function::Type, false),
    ("tonumber", Function::ToNumber, false),
    ("tostring", Function::ToString, false),
    ("ascii_downcase", Function::AsciiDowncase, false),
    ("ascii_upcase", Function::AsciiUpcase, false),
    ("fromjson", Function::FromJson, false),
    ("empty", Function::Empty, false),
    ("select", Function::Select, true),
    ("has", Function::Has, true),
    ("contains", Function::Contains, true),
    ("startswith", Function::StartsWith, true),
    ("endswith", Function::EndsWith, true),
    ("any", Function::Any, true),
    ("all", Function::All, true),
];

/// Parses a filter. The error is one line.
pub fn parse(text: &str) -> Result<Expression, String> {
    let tokens = tokens(text)?;
    if tokens.len() > MAX_TOKENS {
        return Err(format!("the filter has more than {MAX_TOKENS} words"));
    }
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let expression = parser.pipe()?;
    match parser.tokens.get(parser.next) {
        None => Ok(expression),
        Some(token) => Err(format!("unexpected {} in the filter", shown(token))),
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Field(name) => format!(".{name}"),
        Token::Word(name) => name.clone(),
        Token::Variable(name) => format!("${name}"),
        Token::Text(text) => format!("{text:?}"),
        Token::Number(number) => number.to_string(),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    /// Takes the next token if it is this sign.
    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.next), Some(Token::Sign(next)) if *next == sign);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.next), Some(Token::Word(next)) if next == word);
        self.next += usize::from(found);
        found
    }

    fn demand(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) {
            return Ok(());
        }
        let found = self.tokens.get(self.next).map_or("the end".to_owned(), shown);
        Err(format!("the filter needs {sign} before {found}"))
    }

    fn pipe(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the filter is nested too deeply".to_owned());
        }
        let mut left = self.alternative()?;
        while self.sign("|") {
            left = Expression::Pipe(left.into(), self.alternative()?.into());
        }
        self.depth -= 1;
        Ok(left)
    }

    fn alternative(&mut self) -> Result<Expression, String> {
        let mut left = self.or()?;
        while self.sign("//") {
            left = Expression::Alternative(left.into(), self.or()?.into());
        }
        Ok(left)
    }

    fn or(&mut self) -> Result<Expression, String> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Expression::Or(left.into(), self.and()?.into());
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut left = self.comparison()?;
        while self.word("and") {
            left = Expression::And(left.into(), self.comparison()?.into());
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.sum()?;
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        match signs.into_iter().find(|(sign, _)| self.sign(sign)) {
            None => Ok(left),
            Some((_, comparison)) => Ok(Expression::Compare(comparison, left.into(), self.sum()?.into())),
        }
    }

    fn sum(&mut self) -> Result<Expression, String> {
        let mut left = self.product()?;
        let signs = [("+", Operation::Add), ("-", Operation::Subtract)];
        while let Some((_, operation)) = signs.into_iter().find(|(sign, _)| self.sign(sign)) {
            left = Expression::Arithmetic(operation, left.into(), self.product()?.into());
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, String> {
        let mut left = self.suffixes()?;
        let signs = [("*", Operation::Multiply), ("/", Operation::Divide), ("%", Operation::Remainder)];
        while let Some((_, operation)) = signs.into_iter().find(|(sign, _)| self.sign(sign)) {
            left = Expression::Arithmetic(operation, left.into(), self.suffixes()?.into());
        }
        Ok(left)
    }

    /// An operand with `.name`, `["name"]`, `[0]`, `[]` and `?` after it.
    fn suffixes(&mut self) -> Result<Expression, String> {
        let mut target = self.operand()?;
        loop {
            target = match self.tokens.get(self.next) {
                Some(Token::Field(name)) => {
                    let name = name.clone();
                    self.next += 1;
                    Expression::Field(target.into(), name)
                }
                Some(Token::Sign("[")) => {
                    self.next += 1;
                    self.index(target)?
                }
                Some(Token::Sign("?")) => {
                    self.next += 1;
                    Expression::Try(target.into())
                }
                Some(Token::Sign(".")) => match self.tokens.get(self.next + 1) {
                    Some(Token::Text(name)) => {
                        let name = name.clone();
                        self.next += 2;
                        Expression::Field(target.into(), name)
                    }
                    Some(Token::Sign("[")) => {
                        self.next += 2;
                        self.index(target)?
                    }
                    _ => return Ok(target),
                },
                _ => return Ok(target),
            };
        }
    }

    /// The rest after `[`.
    fn index(&mut self, target: Expression) -> Result<Expression, String> {
        if self.sign("]") {
            return Ok(Expression::Each(target.into()));
        }
        let index = self.pipe()?;
        self.demand("]")?;
        Ok(Expression::Index(target.into(), index.into()))
    }

    fn operand(&mut self) -> Result<Expression, String> {
        let token = self.tokens.get(self.next).cloned().ok_or("the filter is incomplete")?;
        self.next += 1;
        match token {
            Token::Field(name) => Ok(Expression::Field(Expression::Identity.into(), name)),
            Token::Text(text) => Ok(Expression::Literal(Value::String(text))),
            Token::Number(number) => Ok(Expression::Literal(number)),
            Token::Variable(name) => variable(&name),
            Token::Sign(".") => self.dot(),
            Token::Sign("(") => {
                let inner = self.pipe()?;
                self.demand(")")?;
                Ok(inner)
            }
            Token::Sign("-") => Ok(Expression::Negative(self.suffixes()?.into())),
            Token::Word(word) => self.call(&word),
            Token::Sign(sign) => Err(format!("unexpected {sign} in the filter")),
        }
    }

    /// The rest after a dot: `."name"`, or nothing.
    fn dot(&mut self) -> Result<Expression, String> {
        match self.tokens.get(self.next) {
            Some(Token::Text(name)) => {
                let name = name.clone();
                self.next += 1;
                Ok(Expression::Field(Expression::Identity.into(), name))
            }
            _ => Ok(Expression::Identity),
        }
    }

    fn call(&mut self, word: &str) -> Result<Expression, String> {
        match word {
            "true" => return Ok(Expression::Literal(Value::Bool(true))),
            "false" => return Ok(Expression::Literal(Value::Bool(false))),
            "null" => return Ok(Expression::Literal(Value::Null)),
            "test" => return self.test(),
            _ => {}
        }
        let Some((_, function, has_argument)) = FUNCTIONS.into_iter().find(|(name, _, _)| *name == word) else {
            return Err(format!("the filter has an unknown function {word}"));
        };
        let optional = matches!(function, Function::Any | Function::All);
        if !has_argument || (optional && !matches!(self.tokens.get(self.next), Some(Token::Sign("(")))) {
            return Ok(Expression::Call(function, Expression::Identity.into()));
        }
        self.demand("(")?;
        let argument = self.pipe()?;
        self.demand(")")?;
        Ok(Expression::Call(function, argument.into()))
    }

    /// `test("regular expression")`, compiled once.
    fn test(&mut self) -> Result<Expression, String> {
        self.demand("(")?;
        let Some(Token::Text(pattern)) = self.tokens.get(self.next).cloned() else {
            return Err("test needs a string, such as test(\"^a\")".to_owned());
        };
        self.next += 1;
        self.demand(")")?;
        let regex = RegexBuilder::new(&pattern).size_limit(MAX_REGEX_BYTES).build();
        let first_line = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
        regex.map(Expression::Test).map_err(|error| format!("{pattern:?}: {}", first_line(error)))
    }
}

fn variable(name: &str) -> Result<Expression, String> {
    let variable = match name {
        "key" => Variable::Key,
        "headers" => Variable::Headers,
        "partition" => Variable::Partition,
        "offset" => Variable::Offset,
        "timestamp" => Variable::Timestamp,
        _ => {
            return Err(format!("${name} is unknown; there are $key, $headers, $partition, $offset and $timestamp"));
        }
    };
    Ok(Expression::Variable(variable))
}

/// A whole number as such, so that it equals numbers of JSON.
pub fn number_value(number: f64) -> Value {
    /// Up to here, a double has every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { Value::from(number as i64) } else { Value::from(number) }
}
