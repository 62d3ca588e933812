//! Source code of seven languages as what it does with Kafka: [`read`].
//!
//! Pure: text in, a [`SourceUnit`] out. tree-sitter lives here and nowhere else. A text goes through four parts:
//!
//! 1. `libraries` has a table for each client library: beginnings of its imports, what makes a client and where its settings are, what each
//!    method does, how a send tells that it failed, and the names of its settings as Java's. A file that mentions no library of its language
//!    is not even parsed: a million lines take seconds, since most files have nothing to do with Kafka.
//! 2. `lower` makes one small syntax tree (`tree`) of tree-sitter's: a table of shapes for each language. Depth and size are bounded; after a
//!    syntax error the rest is still read.
//! 3. `meaning` knows no grammar. It resolves names, constants, maps, builders and functions of the same file as far as there is only one
//!    possibility, finds the variables that are clients, and reads off clients, sends with what becomes of their result, keys, loops and
//!    handlers with their effects in order, and secrets.
//! 4. What cannot be told is said to be unknown, open or unclear, because rules are silent then: a false finding is worse than a missing one.
//!
//! Adding a library is a file in `libraries`, adding a language one in `lower`.

mod libraries;
mod lower;
mod meaning;
mod tree;

use klamm_rules::evidence::SourceUnit;

/// What the source file `path` does with Kafka; `None` when it is of no language that is read, or has nothing to do with Kafka.
pub fn read(path: &str, text: &str) -> Option<SourceUnit> {
    let spec = lower::language(path)?;
    if !libraries::mentioned(spec.name, text) {
        return None;
    }
    let module = lower::lower(spec, text)?;
    meaning::read(path, spec.name, text, &module)
}
