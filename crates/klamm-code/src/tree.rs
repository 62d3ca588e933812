//! One small syntax tree for all languages: what the analysis needs of a program, and nothing else.
//!
//! It is made by [`lower`](crate::lower), whose depth is bounded: so walks over it may recurse.

/// Bytes of the source, from start to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

/// A whole source file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Module {
    /// Statements, declarations and imports, in their order.
    pub body: Vec<Stmt>,
    /// The parser met what it does not know, or the tree was cut: parts are missing.
    pub partial: bool,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub span: Span,
    pub kind: ExprKind,
}

/// Kinds of expressions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExprKind {
    /// A string without computed parts, escapes resolved.
    Text(String),
    /// A string of constant and computed parts (`$"a{b}"`, `format!`).
    Template(Vec<Expr>),
    /// A number as it is written, without underscores and suffixes.
    Number(String),
    Bool(bool),
    /// `null`, `None`, `nil`, `undefined`.
    Null,
    /// A variable, function or type. Rust and C-like paths (`a::b`) are members of names.
    Name(String),
    /// `of.name`.
    Member {
        of: Box<Expr>,
        name: String,
    },
    /// `of[index]`.
    Index {
        of: Box<Expr>,
        index: Box<Expr>,
    },
    Call(Box<Call>),
    Lambda(Box<Function>),
    /// Lists, arrays, tuples, sets.
    List(Vec<Expr>),
    /// Maps, dictionaries, object and struct literals. `ty` is the type as it is written: `kafka.ConfigMap`.
    Map {
        ty: Option<String>,
        entries: Vec<Entry>,
    },
    Await(Box<Expr>),
    /// The failure goes to the caller: Rust's `?`.
    Try(Box<Expr>),
    /// Runs beside: Go's `go f()`.
    Spawn(Box<Expr>),
    /// Go's `<-channel`.
    Receive(Box<Expr>),
    /// Go's `channel <- value`.
    ChannelSend {
        channel: Box<Expr>,
        value: Box<Expr>,
    },
    Binary {
        op: String,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Assign {
        /// Several for Go and Python.
        targets: Vec<Expr>,
        value: Box<Expr>,
        /// `=`, `+=`, …
        op: String,
    },
    /// `test ? then : otherwise`, also `then if test else otherwise`.
    Choice {
        test: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// Statements; the last one is the value.
    Block(Vec<Stmt>),
    /// Something else; what is inside it is kept.
    Other(Vec<Expr>),
}

/// An entry of a map or object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// `None` for a spread: `...rest`, `**rest`.
    pub key: Option<Expr>,
    pub value: Expr,
}

/// A call, or the making of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// What is called: a name, or a member of the receiver. For Java's `new T(…)` the type.
    pub function: Expr,
    pub args: Vec<Arg>,
    /// `new T(…)`.
    pub new: bool,
}

/// An argument; lambdas behind the parentheses (Kotlin) are arguments, too.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arg {
    /// `name=value`.
    pub name: Option<String>,
    pub value: Expr,
    /// `*args`, `**kwargs`, `...rest`: `name` is none then.
    pub spread: bool,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stmt {
    pub span: Span,
    pub kind: StmtKind,
}

/// Kinds of statements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StmtKind {
    Expr(Expr),
    /// A variable, constant or field is made.
    Bind(Box<Bind>),
    Return(Option<Expr>),
    Throw(Option<Expr>),
    Break,
    Continue,
    /// Bindings in the head (Go's `if x := f(); x > 0`) come in a block around it.
    If {
        test: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    /// `switch`, `match`, `when`, `select`.
    Branch {
        on: Option<Expr>,
        arms: Vec<Arm>,
    },
    Loop(Box<Loop>),
    Try {
        body: Vec<Stmt>,
        catches: Vec<Catch>,
        finally: Vec<Stmt>,
    },
    /// Go's `defer`.
    Defer(Expr),
    Function(Box<Function>),
    Class(Box<Class>),
    Block(Vec<Stmt>),
    /// An import: the path as it is written (`org.apache.kafka.clients.producer.KafkaProducer`, `github.com/IBM/sarama`, `kafkajs`),
    /// with the names that it brings.
    Import(Import),
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub path: String,
    /// Pairs of the name there and the name here. For a whole module the name there is empty.
    pub names: Vec<(String, String)>,
}

/// `let names: ty = value`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bind {
    /// Several for Go's `a, err :=` and for destructuring; `_` where nobody wants it.
    pub names: Vec<String>,
    pub ty: Option<String>,
    pub value: Option<Expr>,
    pub annotations: Vec<Annotation>,
    /// `final`, `const`, `val`: nothing else is ever assigned to it.
    pub constant: bool,
}

/// One way of a branch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arm {
    /// What is matched, or received (Go's `case m := <-ch`).
    pub pattern: Option<Expr>,
    /// Names that the pattern binds.
    pub names: Vec<String>,
    pub body: Vec<Stmt>,
}

/// A loop.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loop {
    pub kind: LoopKind,
    /// The condition, or what is iterated.
    pub head: Option<Expr>,
    /// Names that each turn binds.
    pub names: Vec<String>,
    pub body: Vec<Stmt>,
}

/// Kinds of loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoopKind {
    /// While a condition holds, or for ever.
    While,
    /// For each element.
    Each,
    /// `for (;;)` with a counter.
    Counted,
}

/// `catch (types name)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Catch {
    pub span: Span,
    pub types: Vec<String>,
    pub name: Option<String>,
    pub body: Vec<Stmt>,
}

/// A function, method or lambda.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Function {
    pub span: Span,
    /// Empty for lambdas.
    pub name: String,
    /// Go's receiver type, Rust's `impl` type; methods in a class have none.
    pub of: Option<String>,
    pub params: Vec<Param>,
    pub body: Vec<Stmt>,
    pub annotations: Vec<Annotation>,
    pub is_async: bool,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Param {
    pub name: String,
    pub ty: Option<String>,
    pub default: Option<Expr>,
    pub annotations: Vec<Annotation>,
}

/// A class, interface, object or trait.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Class {
    pub name: String,
    pub bases: Vec<String>,
    pub annotations: Vec<Annotation>,
    /// Parameters of Kotlin's and Python's constructors are bindings at its beginning, or in its `__init__`.
    pub body: Vec<Stmt>,
}

/// `@Name(args)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Annotation {
    /// The last word: `KafkaListener`.
    pub name: String,
    pub args: Vec<Arg>,
    pub span: Span,
}

impl Expr {
    pub(crate) fn other(span: Span) -> Self {
        Expr { span, kind: ExprKind::Other(Vec::new()) }
    }

    /// `a.b.c` for names, members and calls in between (`a().b` is `a.b`); `None` for others.
    pub(crate) fn path(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Name(name) => Some(name.clone()),
            ExprKind::Member { of, name } => of.path().map(|of| format!("{of}.{name}")),
            ExprKind::Call(call) => call.function.path(),
            ExprKind::Await(inner) | ExprKind::Try(inner) => inner.path(),
            _ => None,
        }
    }

    /// The last word of a name or member.
    pub(crate) fn last_word(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) | ExprKind::Member { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The call that this is.
    pub(crate) fn as_call(&self) -> Option<&Call> {
        match &self.kind {
            ExprKind::Call(call) => Some(call),
            _ => None,
        }
    }

    /// The name that this is.
    pub(crate) fn as_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        }
    }
}

impl Call {
    /// Last word of what is called: `send`.
    pub(crate) fn method(&self) -> &str {
        self.function.last_word().unwrap_or_default()
    }

    /// What it is called on.
    pub(crate) fn receiver(&self) -> Option<&Expr> {
        match &self.function.kind {
            ExprKind::Member { of, .. } => Some(of),
            _ => None,
        }
    }

    /// The argument without a name at this position.
    pub(crate) fn positional(&self, at: usize) -> Option<&Expr> {
        let mut plain = self.args.iter().filter(|arg| arg.name.is_none() && !arg.spread);
        plain.nth(at).map(|arg| &arg.value)
    }

    /// The argument with this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Expr> {
        self.args.iter().find(|arg| arg.name.as_deref() == Some(name)).map(|arg| &arg.value)
    }
}
