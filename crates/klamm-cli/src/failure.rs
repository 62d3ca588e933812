//! What goes wrong, for people: one line that says what, one `hint:` that says what to do.

use std::fmt;

use serde_json::json;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Clean,
    /// A guarantee did not hold, or there is something to change.
    Findings,
    /// It could not be done.
    Failure,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => 0.into(),
            Exit::Findings => 1.into(),
            Exit::Failure => 2.into(),
        }
    }
}

/// Why a command could not be done.
#[derive(Debug)]
pub struct Failure {
    what: String,
    hint: Option<String>,
    /// Rendered text that comes before the one line: diagnostics with places, the list of breaches.
    details: Option<String>,
}

/// What commands return.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// One line that says what.
    pub fn new(what: impl fmt::Display) -> Self {
        // Text from elsewhere (a broker's message, a file name) may hold line breaks; the promise is one line.
        let what = what.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Failure { what, hint: None, details: None }
    }

    /// One line that says what to do.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Rendered text to print first.
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// Prints it to standard error, and with `json` as one object to standard output too.
    pub fn print(&self, json: Json) {
        if let Some(details) = &self.details {
            eprintln!("{}", details.trim_end());
        }
        eprintln!("error: {}", self.what);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
        if json == Json::Yes {
            crate::screen::say_json(&json!({ "event": "error", "error": self.what, "hint": self.hint }));
        }
    }
}

/// Is the output for programs?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Json {
    /// One JSON object a line.
    Yes,
    /// Text for people.
    No,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
