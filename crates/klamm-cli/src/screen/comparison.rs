//! Two plans beside each other.

use klamm_plan::Comparison;

use super::document::amount;
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
    let rows: Vec<Vec<String>> = found
        .figures
        .iter()
        .map(|f| vec![f.what.clone(), amount(f.from, &f.unit), amount(f.to, &f.unit)])
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["capacity", "old", "new"], &rows));
    }
    text
}
