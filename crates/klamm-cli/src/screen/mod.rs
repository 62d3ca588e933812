//! What people see. Only this crate renders; everything below it returns data.

use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

use serde::Serialize;

mod audit;
mod comparison;
mod diagnostics;
mod document;
mod plan;
mod receipt;
mod verdict;

pub use audit::{
    Detail as AuditDetail, Paint as AuditPaint, Shown as AuditShown, clean as audit_clean,
    html as audit_html, json as audit_json, junit as audit_junit, markdown as audit_markdown,
    sarif as audit_sarif, text as audit_text,
};
pub use comparison::comparison;
pub use diagnostics::render_diagnostics;
pub use document::{plan_html, plan_markdown};
pub use plan::{plan_full, plan_table, profile_note};
pub use receipt::{apply_failed, progress, receipt};
pub use verdict::{Committed, Drain, Ending, verdict};

/// Why standard output could not be written, once that has happened.
static OUTPUT_FAILED: OnceLock<String> = OnceLock::new();

/// Prints one object as one line on standard output.
pub fn say_json(value: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        say_text(&(line + "\n"));
    }
}

/// Prints text on standard output. A reader that went away ends nothing: the run goes on to its drain. Any other failure
/// is remembered, and told at the end.
pub fn say_text(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            OUTPUT_FAILED.get_or_init(|| error.to_string());
        }
        _ => {}
    }
}

/// The failure of standard output, if there was one.
pub fn output_failed() -> Option<&'static str> {
    OUTPUT_FAILED.get().map(String::as_str)
}

/// Bytes as people read them: `13.6 TB`.
pub fn bytes(bytes: u64) -> String {
    klamm_plan::bytes(bytes.into())
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with three significant digits at most: `0.87`, `12.3`, `417`.
pub fn three_digits(number: f64) -> String {
    match number {
        n if n < 10.0 => format!("{n:.2}"),
        n if n < 100.0 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

/// Rows as aligned columns; the last column wraps at the terminal, not here.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (width, cell) in widths.iter().zip(cells) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1_000, 1_234_567].map(grouped).each_ref().map(|s| &s[..])
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = table(&["a", "b"], &[vec!["long".into(), "x".into()], vec!["s".into(), "y".into()]]);
        assert_eq!(text, "a     b\nlong  x\ns     y\n");
    }
}
