//! Checks of every text that is tracked, whatever its language.

use super::Finding;

/// Folders of somebody's machine. Written in two parts, so that this file does not find itself.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

/// Places of a merge that was not finished.
const CONFLICTS: [&str; 2] = [concat!("<<<<", "<<< "), concat!(">>>>", ">>> ")];

/// All checks of one text.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut found = |text: &str| findings.push(Finding::at(path, number + 1, text));
        if MACHINE_PATHS.iter().any(|folder| names_folder(line, folder)) {
            found("a path of one machine");
        }
        if CONFLICTS.iter().any(|mark| line.starts_with(mark)) {
            found("a merge that was not finished");
        }
    }
    findings
}

/// Whether the folder stands at the start of a path, rather than in the middle of one.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"./}_-$~".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found() {
        let planted = format!("see {}x", MACHINE_PATHS[0]);
        assert_eq!(check("README.md", &planted), [Finding::at("README.md", 1, "a path of one machine")]);
        assert!(
            check("README.md", "https://example.com/home/page and $DIR/root/x and crates/work/x").is_empty()
        );
    }

    #[test]
    fn an_unfinished_merge_is_found() {
        let planted = format!("a\n{}HEAD\n", CONFLICTS[0]);
        assert_eq!(check("README.md", &planted).len(), 1);
    }
}
