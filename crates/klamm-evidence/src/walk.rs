//! Files in a folder, with bounds. Links are not followed, and what is neither file nor folder is never opened.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use klamm_rules::evidence::Skipped;

/// No more files of a tree are looked at.
const MAX_FILES: usize = 200_000;
/// Larger files are passed over.
const MAX_BYTES: u64 = 4 << 20;
/// Deeper folders are passed over.
const MAX_DEPTH: usize = 100;
/// What others made: not this project's own files.
const OTHERS: [&str; 6] = [".git", "node_modules", "target", "build", "vendor", "__pycache__"];

/// A file that is wanted.
#[derive(Debug)]
pub(crate) struct Found {
    /// Path from the folder that was searched, with slashes.
    pub path: String,
    place: PathBuf,
}

/// What a walk found, in the order of the paths.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Files that are wanted.
    pub files: Vec<Found>,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
}

impl Walked {
    fn skip(&mut self, path: &str, why: impl Into<String>) {
        let file = if path.is_empty() { ".".to_owned() } else { path.to_owned() };
        self.skipped.push(Skipped { file, why: why.into() });
    }
}

/// Files of `dir` (or `dir` itself, when it is one) whose path is `wanted`.
///
/// # Errors
/// When there is no such folder, or it may not be read.
pub(crate) fn files(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Walked, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut walked = Walked::default();
    let top = fs::metadata(dir).map_err(fail)?;
    if top.is_file() {
        let path = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        walked.files.push(Found { path, place: dir.to_owned() });
        return Ok(walked);
    }
    fs::read_dir(dir).map_err(fail)?;
    let mut seen = 0;
    let mut folders = vec![(dir.to_owned(), String::new(), 0)];
    while let Some((folder, path, depth)) = folders.pop() {
        for (name, place) in sorted(&folder, &path, &mut walked) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let Ok(about) = fs::symlink_metadata(&place) else {
                walked.skip(&path, "it went away, or may not be read");
                continue;
            };
            let kind = about.file_type();
            if kind.is_dir() && !OTHERS.contains(&name.as_str()) {
                if depth >= MAX_DEPTH {
                    walked.skip(&path, format!("deeper than {MAX_DEPTH} folders"));
                } else {
                    folders.push((place, path, depth + 1));
                }
            } else if kind.is_file() {
                seen += 1;
                if seen > MAX_FILES {
                    walked.skip("", format!("more than {MAX_FILES} files: the rest was not looked at"));
                    return Ok(in_order(walked));
                }
                match about.len() {
                    _ if !wanted(&path) => {}
                    size if size > MAX_BYTES => {
                        walked.skip(&path, format!("{size} bytes, the limit is {MAX_BYTES}"));
                    }
                    _ => walked.files.push(Found { path, place }),
                }
            } else if kind.is_symlink() && !OTHERS.contains(&name.as_str()) {
                // A link to a folder may hide anything; one to a file only what its name tells.
                if wanted(&path) || fs::metadata(&place).map_or(true, |to| to.is_dir()) {
                    walked.skip(&path, "a symbolic link, which is not followed");
                }
            } else if !kind.is_dir() && wanted(&path) {
                walked.skip(&path, "no regular file");
            }
        }
    }
    Ok(in_order(walked))
}

fn in_order(mut walked: Walked) -> Walked {
    walked.files.sort_by(|a, b| a.path.cmp(&b.path));
    walked.skipped.sort_by(|a, b| a.file.cmp(&b.file));
    walked
}

fn sorted(folder: &Path, path: &str, walked: &mut Walked) -> Vec<(String, PathBuf)> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            walked.skip(path, error.to_string());
            return Vec::new();
        }
    };
    let mut names = Vec::new();
    for entry in entries.take(MAX_FILES + 1) {
        match entry {
            Ok(entry) => names.push((entry.file_name().to_string_lossy().into_owned(), entry.path())),
            Err(error) => walked.skip(path, error.to_string()),
        }
    }
    names.sort();
    names
}

impl Found {
    /// Its text; or why it has none.
    pub fn text(&self) -> Result<String, String> {
        let file = fs::File::open(&self.place).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes"));
        }
        decode(bytes)
    }
}

/// UTF-8, UTF-16 with its mark, or else Latin-1: what is looked for is ASCII, and stands the same in all that is derived from it.
fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let wide = |big: bool| {
        let units = bytes[2..].chunks_exact(2).map(|pair| match big {
            true => u16::from_be_bytes([pair[0], pair[1]]),
            false => u16::from_le_bytes([pair[0], pair[1]]),
        });
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => return Ok(wide(false)),
        [0xfe, 0xff, ..] => return Ok(wide(true)),
        plain if plain.iter().take(8_192).any(|byte| *byte == 0) => return Err("no text".to_owned()),
        _ => {}
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    };
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// What was passed over, as a gap is told; bounded.
pub(crate) fn missing(skipped: &[Skipped]) -> Vec<String> {
    const SHOWN: usize = 50;
    let mut missing: Vec<String> =
        skipped.iter().take(SHOWN).map(|skipped| format!("{}: {}", skipped.file, skipped.why)).collect();
    if let Some(more) = skipped.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        missing.push(format!("and {more} more"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_by_their_mark() {
        assert_eq!(decode(b"a=\xc3\xa9".to_vec()).as_deref(), Ok("a=é"));
        assert_eq!(decode(b"\xef\xbb\xbfa".to_vec()).as_deref(), Ok("a"));
        assert_eq!(decode(b"a=\xe9".to_vec()).as_deref(), Ok("a=é"));
        assert_eq!(decode(b"\xff\xfea\0=\0".to_vec()).as_deref(), Ok("a="));
        assert_eq!(decode(b"\xfe\xff\0a\0".to_vec()).as_deref(), Ok("a"));
        assert_eq!(decode(b"\x7fELF\0\0".to_vec()), Err("no text".to_owned()));
    }
}
