//! Secrets, read where a spec says they are, when they are needed.

use std::path::Path;
use std::process::{Command, Stdio};

use klamm_plan::spec::SecretRef;

/// Reads a secret; waits for a command. A file's last line end is not part of it, nor that of what a command prints.
///
/// # Errors
/// What could not be read, and why: never what was read.
pub fn read_secret(place: &SecretRef, folder: &Path) -> Result<String, String> {
    let text = match place {
        SecretRef::Env(name) => {
            std::env::var(name).map_err(|error| format!("{place} cannot be read: {error}"))?
        }
        SecretRef::File(name) => {
            let path = folder.join(name);
            let read = std::fs::read_to_string(&path);
            read.map_err(|error| format!("the password file {} cannot be read: {error}", path.display()))?
        }
        SecretRef::Command(words) => {
            let (program, arguments) = words.split_first().ok_or("the password command has no program")?;
            let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
            let output = output.map_err(|error| format!("`{program}` cannot be run: {error}"))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(format!("`{}` failed ({}): {}", words.join(" "), output.status, said.trim()));
            }
            String::from_utf8(output.stdout).map_err(|_| format!("`{program}` prints no text"))?
        }
    };
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(format!("the password from {place} is empty")) } else { Ok(secret.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(words: &[&str]) -> Result<String, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        read_secret(&SecretRef::Command(words), Path::new(""))
    }

    #[test]
    fn a_command_tells_the_secret_or_why_it_cannot() {
        assert_eq!(from(&["printf", "a b\n"]), Ok("a b".to_owned()));
        let failed = from(&["sh", "-c", "echo vault is sealed >&2; exit 3"]).expect_err("it fails");
        assert!(failed.contains("vault is sealed") && failed.contains('3'), "{failed}");
        assert!(from(&["true"]).expect_err("nothing").contains("is empty"));
        assert!(from(&["no-such-program-here"]).expect_err("none").contains("cannot be run"));
    }
}
