//! Where things live: the repository, its target folder, the cache outside it.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the repository: of the one that the current folder is in. Only elsewhere is it the one that this program
/// was built from, because checkouts that share a target folder overwrite each other's programs.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = env::current_dir().unwrap_or_default();
    root_above(&here).unwrap_or_else(|| manifest.parent().unwrap_or(manifest)).to_path_buf()
}

fn root_above(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file())
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cache outside the tree: it survives `cargo clean` and serves every checkout.
pub fn cache() -> PathBuf {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("klamm")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_root_is_that_of_the_checkout_one_stands_in() -> std::io::Result<()> {
        let checkout = tempfile::tempdir()?;
        let inner = checkout.path().join("crates/a/src");
        fs::create_dir_all(&inner)?;
        assert_eq!(root_above(&inner), None);
        fs::create_dir(checkout.path().join("xtask"))?;
        fs::write(checkout.path().join("xtask/Cargo.toml"), "")?;
        assert_eq!(root_above(&inner), Some(checkout.path()));
        Ok(())
    }
}
