//! What was asked for, against what may be.

use std::path::{Path, PathBuf};

use crate::app::admit;
use crate::app::exec::Exec;
use crate::app::failure::Failure;
use crate::manifest::model::{Layer, Network};
use crate::policy::bounds::{Bounds, Place};
use crate::sandbox::cgroup::Cgroups;
use crate::sandbox::confinement::Tier;
use crate::sandbox::spawn::Sandbox;

/// Under Actions whoever changed the workflow typed this, so that only a host policy could allow it.
pub(super) fn refuse_weakening(exec: &Exec, workspace: &Path, here: &Path) -> Result<(), Failure> {
    let refused = |what: String| {
        Err(Failure::Policy(format!(
            "{what} is refused under GitHub Actions without a host policy that allows it"
        )))
    };
    if exec.network == Network::Host {
        return refused("--network host".to_owned());
    }
    match exec.write.iter().find(|path| !absolute(path, here).starts_with(workspace)) {
        Some(path) => refused(format!("--write {}, which is outside of the workspace,", path.display())),
        None => Ok(()),
    }
}

/// What was asked for, within the bounds of the host's policies: time is cut down, and the tier is the one that holds what
/// they require.
pub(super) fn within(
    exec: &Exec,
    bounds: &Bounds,
    (workspace, here): (&Path, &Path),
    sandbox: &Sandbox,
    cgroups: &Cgroups,
) -> Result<Exec, Failure> {
    let refused = |place: &Place, what: String| {
        Err(Failure::Policy(format!("{place}: {what} is more than the policy allows")))
    };
    if let (Network::Host, Some(place)) = (exec.network, bounds.against_network()) {
        return refused(place, "--network host".to_owned());
    }
    // What a link leads to counts, as well as what was typed: either could be outside.
    let real = |path: &Path| {
        let whole = absolute(path, here);
        [whole.canonicalize().unwrap_or_else(|_| whole.clone()), whole]
    };
    for path in &exec.read {
        let outside = real(path).into_iter().find(|path| !path.starts_with(workspace));
        if let Some(place) = outside.as_deref().and_then(|path| bounds.against_read(path)) {
            return refused(place, format!("--read {}", path.display()));
        }
    }
    for path in &exec.write {
        let outside = real(path).into_iter().find(|path| !path.starts_with(workspace));
        if let Some(place) = outside.as_deref().and_then(|path| bounds.against_write(path)) {
            return refused(place, format!("--write {}", path.display()));
        }
    }
    let mut exec = exec.clone();
    if let Some(limit) = bounds.timeout() {
        exec.timeout = Some(exec.timeout.map_or(limit.value, |asked| asked.min(limit.value)));
    }
    let required = bounds.require();
    if required.is_empty() {
        return Ok(exec);
    }
    let host = admit::Host { layers: sandbox.layers().clone(), cgroups: cgroups.clone() };
    let lacking = admit::lacking(bounds, &host);
    if !lacking.is_empty() {
        return Err(Failure::Host(lacking));
    }
    if let Some(namespaces) = required.iter().find(|required| required.value.layer == Layer::Namespaces) {
        if exec.tier == Some(Tier::Landlock) {
            return refused(&namespaces.at, "--tier landlock".to_owned());
        }
        exec.tier = Some(Tier::Namespaces);
    }
    Ok(exec)
}

/// `path` from `here`, without `.` and `..`, and without a look at the file system.
pub(super) fn absolute(path: &Path, here: &Path) -> PathBuf {
    let mut absolute = PathBuf::new();
    for part in here.join(path).components() {
        match part {
            std::path::Component::ParentDir => {
                absolute.pop();
            }
            std::path::Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    absolute
}
