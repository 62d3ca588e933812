//! Diagnostics with their places, as compilers print them.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use klamm_plan::Diagnostic;

/// All of `diagnostics`, each with the lines of the file that it is about. `sources` maps file names to their text.
pub fn render_diagnostics(diagnostics: &[Diagnostic], sources: &BTreeMap<String, String>) -> String {
    let renderer = if std::io::stderr().is_terminal() { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push('\n');
    }
    text
}

fn group<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a BTreeMap<String, String>,
) -> annotate_snippets::Group<'a> {
    let mut group = annotate_snippets::Group::with_title(
        Level::ERROR.primary_title(&diagnostic.message).id(diagnostic.code),
    );
    let here = diagnostic.span.map(|span| (&diagnostic.file, span, "", AnnotationKind::Primary));
    let others = diagnostic
        .secondary
        .iter()
        .map(|place| (&place.file, place.span, place.label.as_str(), AnnotationKind::Context));
    for (file, span, label, kind) in here.into_iter().chain(others) {
        let Some(source) = sources.get(file.as_str()) else { continue };
        // A span is cut to the text that is there: a diagnostic must never be the thing that fails.
        let end = floor(source, span.end);
        let range = floor(source, span.start).min(end)..end;
        group = group
            .element(Snippet::source(source).path(file.as_str()).annotation(kind.span(range).label(label)));
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    }
}

fn floor(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_error_shows_file_line_column_and_help() {
        let text = "klamm: 1\nservice: x\ntopics:\n  a:\n    consistencey: strong\n";
        let errors = klamm_plan::spec::parse("k.yaml", text).expect_err("the field is unknown");
        let sources = BTreeMap::from([("k.yaml".to_owned(), text.to_owned())]);
        let rendered = render_diagnostics(&errors, &sources);
        assert!(rendered.contains("k.yaml:5:5") && rendered.contains("consistency"), "{rendered}");
    }

    #[test]
    fn a_span_outside_of_the_text_is_cut() {
        let span = klamm_plan::Span { start: 900, end: 1_000, line: 90, column: 1 };
        let diagnostic = Diagnostic::at("x", "é.yaml", span, "wrong");
        let sources = BTreeMap::from([("é.yaml".to_owned(), "é: ü".to_owned())]);
        assert!(render_diagnostics(&[diagnostic], &sources).contains("wrong"));
    }
}
