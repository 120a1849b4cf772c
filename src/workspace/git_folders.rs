//! Where git's own files of a repository are: most often in `.git`, sometimes elsewhere. Nothing else is shown to git.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::workspace::files;

/// Most bytes of a file that leads elsewhere.
const MAX_BYTES: u64 = 64 << 10;

/// Most other repositories whose objects are borrowed.
const MAX_BORROWED: usize = 32;

/// Folders that git reads for the repository whose working tree begins at `top`, as real paths, `top` first.
pub(super) fn of(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.to_owned()];
    let dot = top.join(".git");
    // A further worktree and a submodule have a file that names the folder.
    let named = line(&dot).and_then(|text| Some(top.join(text.strip_prefix("gitdir: ")?)));
    let own = named.unwrap_or(dot);
    let common = line(&own.join("commondir")).map_or_else(|| own.clone(), |path| own.join(path));
    // Whoever wrote that file may have named anything, so what is no repository is not shown.
    let is_repository = |folder: &PathBuf| folder.join("HEAD").is_file();
    found.extend([own, common.clone()].into_iter().filter(is_repository));
    let objects = common.join("objects");
    if let Some(text) = text(&objects.join("info/alternates")) {
        let borrowed = text.lines().take(MAX_BORROWED).map(|path| objects.join(path));
        found.extend(borrowed.filter(|folder| folder.join("pack").is_dir()));
    }
    found.retain_mut(|folder| folder.canonicalize().map(|real| *folder = real).is_ok());
    let mut kept: Vec<PathBuf> = Vec::new();
    for folder in found {
        if !kept.iter().any(|other| folder.starts_with(other)) {
            kept.push(folder);
        }
    }
    kept
}

fn line(path: &Path) -> Option<String> {
    Some(text(path)?.trim_end().to_owned())
}

fn text(path: &Path) -> Option<String> {
    // A FIFO would not be a regular file, and waiting for its other end is out of the question.
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    files::text(File::open(path).ok()?, MAX_BYTES).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_elsewhere_is_found_and_nothing_that_is_none() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().canonicalize().unwrap();
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        };
        write("plain/.git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(of(&root.join("plain")), [root.join("plain")]);
        // Another worktree of it, with objects borrowed from a third.
        write("plain/.git/worktrees/w/HEAD", "ref: refs/heads/w\n");
        write("plain/.git/worktrees/w/commondir", "../..\n");
        write("plain/.git/objects/info/alternates", "../../../third/objects\n/etc\n");
        write("third/objects/pack/x", "");
        write("w/.git", &format!("gitdir: {}/plain/.git/worktrees/w\n", root.display()));
        let folders = of(&root.join("w"));
        assert_eq!(
            folders,
            [
                root.join("w"),
                root.join("plain/.git/worktrees/w"),
                root.join("plain/.git"),
                root.join("third/objects")
            ]
        );
        // What is no repository is not shown, whoever points to it.
        write("keys/id", "secret");
        write("bad/.git", "gitdir: ../keys\n");
        assert_eq!(of(&root.join("bad")), [root.join("bad")]);
    }
}
