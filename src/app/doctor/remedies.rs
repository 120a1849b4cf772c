//! Why a host has no namespaces, and what would give them: read from its settings. Pure but for [`hurdles`].

use std::path::Path;

use nix::errno::Errno;

/// The profile that lets this program, and no other, make user namespaces where `AppArmor` keeps them from everybody. It
/// is the file that packages install.
const APPARMOR_PROFILE: &str = include_str!("../../../packaging/apparmor/rungate");

/// What of a host can keep a program from making user namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hurdle {
    /// No more of them may be made.
    NoneLeft,
    /// Debian's switch is off.
    SwitchedOff,
    /// `AppArmor` lets only programs with a profile of their own make them.
    AppArmor,
    /// This is a container.
    Container,
}

/// The hurdles of this host.
pub(super) fn hurdles() -> Vec<Hurdle> {
    let is =
        |path: &str, value: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim_end() == value);
    let marks = ["/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io/serviceaccount"];
    [
        (Hurdle::NoneLeft, is("/proc/sys/user/max_user_namespaces", "0")),
        (Hurdle::SwitchedOff, is("/proc/sys/kernel/unprivileged_userns_clone", "0")),
        (Hurdle::AppArmor, is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")),
        (Hurdle::Container, marks.iter().any(|path| Path::new(path).exists())),
    ]
    .into_iter()
    .filter_map(|(hurdle, is_there)| is_there.then_some(hurdle))
    .collect()
}

impl Hurdle {
    const fn cause(self) -> &'static str {
        match self {
            Self::NoneLeft => "user.max_user_namespaces allows no more of them",
            Self::SwitchedOff => "kernel.unprivileged_userns_clone is 0",
            Self::AppArmor => "AppArmor keeps user namespaces from programs without a profile",
            Self::Container => "this is a container, whose system call filter or masked /proc forbids it",
        }
    }

    fn remedies(self) -> Vec<String> {
        match self {
            Self::NoneLeft => vec!["sysctl -w user.max_user_namespaces=15000".to_owned()],
            Self::SwitchedOff => vec!["sysctl -w kernel.unprivileged_userns_clone=1".to_owned()],
            Self::AppArmor => vec![format!(
                "write /etc/apparmor.d/rungate, and load it with `apparmor_parser -r /etc/apparmor.d/rungate`:\n\
                 {APPARMOR_PROFILE}"
            )],
            Self::Container => vec![
                "Kubernetes: `hostUsers: false` in the pod's spec gives it user namespaces of its own"
                    .to_owned(),
                "Docker: a seccomp profile that allows unshare, mount and pivot_root, with `--security-opt \
                 systempaths=unconfined` where a new /proc cannot be mounted"
                    .to_owned(),
            ],
        }
    }
}

/// Why the call failed that a sandbox begins with, and what helps, when the failure is `errno`.
pub(super) fn of_namespaces(errno: Errno, hurdles: &[Hurdle]) -> (Option<String>, Vec<String>) {
    let mut all = hurdles.to_vec();
    if errno == Errno::ENOSPC && !all.contains(&Hurdle::NoneLeft) {
        all.insert(0, Hurdle::NoneLeft);
    }
    let causes: Vec<&str> = all.iter().map(|hurdle| hurdle.cause()).collect();
    let mut remedies: Vec<String> = all.iter().flat_map(|hurdle| hurdle.remedies()).collect();
    if remedies.is_empty() {
        remedies.push(match errno {
            Errno::EPERM | Errno::EACCES => {
                "ask which security module of the host forbids it (`dmesg`, `journalctl -k`); inside of another \
                 sandbox there is none to be had"
                    .to_owned()
            }
            Errno::EINVAL | Errno::ENOSYS => "use a kernel with CONFIG_USER_NS=y, Linux 5.12 or newer".to_owned(),
            _ => "look at the kernel's log (`dmesg`)".to_owned(),
        });
    }
    (if causes.is_empty() { None } else { Some(causes.join("; ")) }, remedies)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(errno: Errno, hurdles: &[Hurdle]) -> String {
        let (cause, remedies) = of_namespaces(errno, hurdles);
        format!("{}\n- {}", cause.unwrap_or_default(), remedies.join("\n- "))
    }

    #[test]
    fn every_cause_has_its_remedy() {
        insta::assert_snapshot!(said(Errno::EPERM, &[Hurdle::AppArmor]), @r"
        AppArmor keeps user namespaces from programs without a profile
        - write /etc/apparmor.d/rungate, and load it with `apparmor_parser -r /etc/apparmor.d/rungate`:
        abi <abi/4.0>,
        include <tunables/global>

        profile rungate /usr/{,local/}bin/rungate flags=(unconfined) {
          userns,
          include if exists <local/rungate>
        }
        ");
        insta::assert_snapshot!(said(Errno::ENOSPC, &[]), @r"
        user.max_user_namespaces allows no more of them
        - sysctl -w user.max_user_namespaces=15000
        ");
        insta::assert_snapshot!(said(Errno::EPERM, &[Hurdle::SwitchedOff, Hurdle::Container]), @r"
        kernel.unprivileged_userns_clone is 0; this is a container, whose system call filter or masked /proc forbids it
        - sysctl -w kernel.unprivileged_userns_clone=1
        - Kubernetes: `hostUsers: false` in the pod's spec gives it user namespaces of its own
        - Docker: a seccomp profile that allows unshare, mount and pivot_root, with `--security-opt systempaths=unconfined` where a new /proc cannot be mounted
        ");
        insta::assert_snapshot!(said(Errno::EPERM, &[]).trim_start(), @"- ask which security module of the host forbids it (`dmesg`, `journalctl -k`); inside of another sandbox there is none to be had");
    }
}
