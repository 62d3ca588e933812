//! What is wrong, where, and what to do. Data only: the binary renders it.

use std::fmt;

use serde::Serialize;

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
}

/// A piece of a file that has to do with a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// File as the caller named it.
    pub file: String,
    /// Where in it.
    pub span: Span,
    /// What is there.
    pub label: String,
}

/// One thing that is wrong with a spec or a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Stable name of the kind of trouble: `unknown-field`, `global-order-too-fast`.
    pub code: &'static str,
    /// What is wrong: lower case, no final dot, with values and limits.
    pub message: String,
    /// File as the caller named it; empty when no file is at fault.
    pub file: String,
    /// Where in the file.
    pub span: Option<Span>,
    /// What to do.
    pub help: Option<String>,
    /// Other places that have to do with it.
    pub secondary: Vec<Place>,
}

impl Diagnostic {
    /// A diagnostic at one place of a file.
    pub fn at(code: &'static str, file: &str, span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            message: message.into(),
            file: file.to_owned(),
            span: Some(span),
            help: None,
            secondary: Vec::new(),
        }
    }

    /// A diagnostic that no file is at fault for: an option, or the cluster.
    pub fn general(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            message: message.into(),
            file: String::new(),
            span: None,
            help: None,
            secondary: Vec::new(),
        }
    }

    /// The same with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with another place.
    #[must_use]
    pub fn also(mut self, file: &str, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push(Place { file: file.to_owned(), span, label: label.into() });
        self
    }
}

impl fmt::Display for Diagnostic {
    /// `klamm.yaml:3:5: message`, for logs and tests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span {
            Some(span) => write!(f, "{}:{}:{}: {}", self.file, span.line, span.column, self.message),
            None => f.write_str(&self.message),
        }
    }
}
