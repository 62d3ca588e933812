//! Two plans beside each other.

use klamm_plan::{Comparison, FigureChange};

use super::table;

/// What changes, what it does, and what it costs.
pub fn comparison(found: &Comparison) -> String {
    if found.changes.is_empty() && found.figures.is_empty() {
        return "plan      nothing changes\n".to_owned();
    }
    let dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = found
        .changes
        .iter()
        .map(|change| {
            vec![
                change.what.clone(),
                change.setting.clone(),
                dash(&change.from),
                dash(&change.to),
                change.effect.to_string(),
                change.cost.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let mut text = table(&["what", "setting", "old", "new", "effect", "cost"], &rows);
    let figure = |figure: &FigureChange, value: u64| match figure.unit.as_str() {
        "bytes" => super::bytes(value),
        "bytes/s" => format!("{}/s", super::bytes(value)),
        unit => format!("{value} {unit}"),
    };
    let rows: Vec<Vec<String>> =
        found.figures.iter().map(|f| vec![f.what.clone(), figure(f, f.from), figure(f, f.to)]).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["capacity", "old", "new"], &rows));
    }
    text
}
