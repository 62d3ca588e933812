//! One HTML page that needs nothing from elsewhere, with charts as inline SVG.

use std::collections::BTreeMap;

use klamm_rules::{Severity, Status};
use pulldown_cmark::{Options, Parser, html as cmark};

use super::Shown;

const STYLE: &str = "body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }\n\
table { border-collapse: collapse; margin: 1rem 0; }\n\
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; }\n\
pre { background: #f3f3f3; padding: .6rem; overflow-x: auto; }\n\
code { background: #f3f3f3; padding: 0 .2rem; }\n\
h3 { border-left: .4rem solid #999; padding-left: .5rem; }\n\
figure { display: inline-block; margin: 0 2rem 1rem 0; vertical-align: top; }\n\
figcaption { font-size: 13px; color: #555; }\n";

const LABEL: u32 = 170;
const BAR: u32 = 260;
const ROW: u32 = 24;

/// The whole report, made of its Markdown, with what came of the rules and where the findings are on top.
pub fn html(shown: &Shown<'_>) -> String {
    let markdown = super::markdown(shown);
    let mut body = String::new();
    // Names of topics and keys are other people's text: no HTML of theirs is passed on.
    let parser = Parser::new_ext(&markdown, Options::ENABLE_TABLES).map(|event| match event {
        pulldown_cmark::Event::Html(text) | pulldown_cmark::Event::InlineHtml(text) => {
            pulldown_cmark::Event::Text(text)
        }
        other => other,
    });
    cmark::push_html(&mut body, parser);
    let charts = [
        chart("What came of the rules", &statuses(shown)),
        chart("Findings by kind", &kinds(shown)),
        disks(shown),
    ];
    let body = body.replacen("</h1>", &format!("</h1>\n{}", charts.concat()), 1);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Kafka audit</title>\n<style>\n{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
}

type Bars = Vec<(String, u64, &'static str)>;

fn statuses(shown: &Shown<'_>) -> Bars {
    [
        (Status::Finding, "#c0392b"),
        (Status::Pass, "#2e8b57"),
        (Status::NothingToCheck, "#8aa"),
        (Status::NotEvaluated, "#b8860b"),
    ]
    .into_iter()
    .map(|(status, colour)| (status.to_string(), shown.report.count(status) as u64, colour))
    .collect()
}

/// By the hundreds of their codes, which are the chapters of the catalogue.
fn kinds(shown: &Shown<'_>) -> Bars {
    const CHAPTERS: [(&str, &str); 9] = [
        ("KL1", "producers"),
        ("KL2", "keys"),
        ("KL3", "schemas"),
        ("KL4", "consumers"),
        ("KL5", "cluster"),
        ("KL6", "recovery"),
        ("KL7", "events"),
        ("KL8", "streams, Connect"),
        ("KL9", "security"),
    ];
    let mut counts: BTreeMap<&str, (u64, Severity)> = BTreeMap::new();
    for finding in shown.report.findings() {
        let chapter = CHAPTERS
            .iter()
            .find(|(code, _)| finding.rule.starts_with(code))
            .map_or("other", |(_, name)| name);
        let entry = counts.entry(chapter).or_insert((0, finding.severity));
        *entry = (entry.0 + 1, entry.1.max(finding.severity));
    }
    let colour = |severity| match severity {
        Severity::Error => "#c0392b",
        Severity::Warning => "#d68910",
        Severity::Info => "#5b8db8",
    };
    counts.into_iter().map(|(chapter, (count, worst))| (chapter.to_owned(), count, colour(worst))).collect()
}

/// How full the volumes of log directories are, in percent.
fn disks(shown: &Shown<'_>) -> String {
    let dirs = shown.evidence.live.log_dirs.value().into_iter().flatten();
    let bars: Bars = dirs
        .filter_map(|dir| {
            let (total, free) = (dir.total_bytes.filter(|total| *total > 0)?, dir.usable_bytes?);
            let used = total.saturating_sub(free).saturating_mul(100) / total;
            let colour = if used >= 90 {
                "#c0392b"
            } else if used >= 75 {
                "#d68910"
            } else {
                "#2e8b57"
            };
            Some((format!("broker {} {}", dir.broker, dir.path), used, colour))
        })
        .collect();
    chart("Volumes of log directories, % full", &bars)
}

fn chart(title: &str, bars: &Bars) -> String {
    let Some(most) = bars.iter().map(|(_, count, _)| *count).max().filter(|most| *most > 0) else {
        return String::new();
    };
    let rows: String = bars
        .iter()
        .enumerate()
        .map(|(at, (label, count, colour))| {
            let y = at as u32 * ROW;
            let width = (u64::from(BAR) * count / most).max(u64::from(*count > 0));
            format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{LABEL}\" y=\"{}\" width=\"{width}\" height=\"16\" fill=\"{colour}\"/><text x=\"{}\" y=\"{}\">{count}</text>",
                LABEL - 8, y + 16, escaped(label), y + 3, u64::from(LABEL) + width + 6, y + 16,
            )
        })
        .collect();
    let (width, height) = (LABEL + BAR + 60, bars.len() as u32 * ROW + 4);
    format!(
        "<figure><figcaption>{title}</figcaption><svg role=\"img\" aria-label=\"{title}\" width=\"{width}\" height=\"{height}\" font-size=\"13\">{rows}</svg></figure>\n"
    )
}

fn escaped(text: &str) -> String {
    super::clean::shown(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
