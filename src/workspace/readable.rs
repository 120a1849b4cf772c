//! Paths of the host that a manifest wants to show to its scripts: what they really are, and whether they may be shown.
//!
//! The manifest comes from the repository under test. It may name a data set or a tool, and none of the places by which a
//! script could reach the host, this program or the job.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::environ::Environ;
use crate::plan::facts::PathProblem;
use crate::sandbox::layout::is_system;

/// Places of the host's own: processes, devices, and sockets of its services.
const NEVER: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/var/run"];

/// Variables that name what only rungate and the runner may see.
const OURS: [&str; 4] =
    ["RUNGATE_STATE_DIR", "RUNGATE_APP_PRIVATE_KEY_FILE", "GITHUB_EVENT_PATH", "CREDENTIALS_DIRECTORY"];

/// Where the administrator keeps the host's policy, and keys beside it.
const ADMINISTRATORS: &str = "/etc/rungate";

/// What `path` is on the host: absolute, without links. Nothing where every step sees it anyway.
///
/// # Errors
/// Says why it is not shown.
pub(super) fn resolve(
    path: &str,
    workspace: &Path,
    environ: &Environ,
) -> Result<Option<PathBuf>, PathProblem> {
    let real = workspace.join(path).canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => PathProblem::Missing,
        _ => PathProblem::Unreadable(error.to_string()),
    })?;
    if real.starts_with(workspace) || is_system(&real) {
        return Ok(None);
    }
    if !Path::new(path).is_absolute() {
        // A link that the repository holds would choose what of the host is shown.
        return Err(PathProblem::Symlink);
    }
    let refused = |why: &str| Err(PathProblem::Unusable(why.to_owned()));
    if workspace.starts_with(&real) {
        return refused("the workspace lies in it, whose .git is hidden from every script");
    }
    if NEVER.iter().any(|never| real.starts_with(never)) {
        return refused("processes, devices and sockets of the host are never shown");
    }
    let ours = OURS.iter().filter_map(|name| environ.path(name));
    let ours = ours.chain([PathBuf::from(ADMINISTRATORS)]).filter_map(|path| path.canonicalize().ok());
    if ours.into_iter().any(|own| own.starts_with(&real) || real.starts_with(&own)) {
        return refused("what belongs to the job or to rungate is never shown");
    }
    let kind = real.metadata().map_err(|error| PathProblem::Unreadable(error.to_string()))?.file_type();
    if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
        return Err(PathProblem::WrongKind("a folder or a regular file"));
    }
    Ok(Some(real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_can_show_data_and_nothing_that_leads_to_the_host() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().canonicalize().unwrap();
        for folder in ["work/repo/src", "data", "state/runs"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let workspace = root.join("work/repo");
        std::os::unix::fs::symlink(root.join("data"), workspace.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("data"), root.join("named")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("docker.sock")).unwrap();
        let state = root.join("state");
        let environ = Environ::of([("RUNGATE_STATE_DIR", state.to_str().unwrap())]);
        let resolve = |path: &str| resolve(path, &workspace, &environ);
        let named = |name: &str| root.join(name).to_str().unwrap().to_owned();
        assert_eq!(resolve(&named("data")), Ok(Some(root.join("data"))));
        assert_eq!(resolve(&named("named")), Ok(Some(root.join("data"))), "a link of the host is resolved");
        assert_eq!(resolve("src"), Ok(None));
        assert_eq!(resolve("/usr/share"), Ok(None));
        assert_eq!(resolve("link"), Err(PathProblem::Symlink));
        assert_eq!(resolve("/no/such"), Err(PathProblem::Missing));
        for path in
            ["/", "/proc/self", "/dev", "/sys", &named("work"), &named("state/runs"), &named("docker.sock")]
        {
            assert!(resolve(path).is_err(), "{path}");
        }
    }
}
