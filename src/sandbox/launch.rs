//! What is to be started, as data, and its compilation to a [`Spec`].

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::manifest::model::Network;
use crate::plan::model::SandboxPlan;
use crate::record::SandboxReport;
use crate::sandbox::confinement::{Confinement, PrivateFile};
use crate::sandbox::spec::{NulByte, Spec, c_string};

/// A process to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program, as an absolute path: nothing is looked up in a PATH that a repository could have changed.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts, as an absolute path.
    pub cwd: PathBuf,
    /// How it is confined; absent: not at all.
    pub confinement: Option<Confinement>,
    /// What it finds in [`crate::sandbox::layout::Layout::files`], in the tier that has private folders of its own.
    pub private: Vec<PrivateFile>,
}

impl Launch {
    /// The spec that the helper is told. Pure.
    ///
    /// # Errors
    /// Names the first text that holds a NUL byte, which no program can be given.
    pub fn compile(&self) -> Result<Spec, NulByte> {
        let program = c_string(self.program.clone().into(), || "the program's path".to_owned())?;
        let mut argv = vec![program.clone()];
        for (index, arg) in self.args.iter().enumerate() {
            argv.push(c_string(arg.clone(), || format!("argument {}", index + 1))?);
        }
        let mut env = Vec::with_capacity(self.env.len());
        for (name, value) in &self.env {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            env.push(c_string(pair, || format!("the variable {}", shown(name)))?);
        }
        let cwd = c_string(self.cwd.clone().into(), || "the working directory".to_owned())?;
        Ok(Spec { program, argv, env, cwd })
    }
}

fn shown(name: &OsStr) -> String {
    name.to_string_lossy().replace('\0', "\\0")
}

/// What of `plan` is in force for a step started by this version: no layer yet, and everything that was asked for by name.
#[must_use]
pub fn report(plan: &SandboxPlan) -> SandboxReport {
    let mut degraded = vec![
        "namespaces, landlock and seccomp are not built yet: the script has this user's rights".to_owned(),
        "memory, process, CPU and scratch limits are not enforced".to_owned(),
    ];
    if plan.network == Network::None {
        degraded.push("network: none is not enforced: the script sees the host's network".to_owned());
    } else if !plan.ports.is_empty() {
        degraded.push("ports are not enforced: the script can connect to any port".to_owned());
    }
    let required: Vec<String> = plan.require.iter().map(ToString::to_string).collect();
    degraded.push(format!("require: {} is not met", required.join(", ")));
    degraded.push("the workspace is writable and .git can be read".to_owned());
    SandboxReport {
        tier: "none".to_owned(),
        namespaces: Vec::new(),
        landlock: None,
        seccomp: false,
        cgroup: Vec::new(),
        degraded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Launch {
        Launch {
            program: "/bin/sh".into(),
            args: vec!["-e".into(), "$(touch x) \n".into()],
            env: vec![("A".into(), "1=2".into())],
            cwd: "/tmp".into(),
            confinement: None,
            private: Vec::new(),
        }
    }

    #[test]
    fn a_launch_compiles_to_exactly_this_spec() {
        let spec = launch().compile().unwrap();
        assert_eq!(
            spec,
            Spec {
                program: c"/bin/sh".into(),
                argv: vec![c"/bin/sh".into(), c"-e".into(), c"$(touch x) \n".into()],
                env: vec![c"A=1=2".into()],
                cwd: c"/tmp".into(),
            }
        );
    }

    #[test]
    fn a_nul_byte_is_refused_by_name() {
        let mut bad = launch();
        bad.args[1] = "a\0b".into();
        assert_eq!(bad.compile().unwrap_err().to_string(), "argument 2 holds a NUL byte");
        let mut bad = launch();
        bad.env[0].1 = "a\0b".into();
        assert_eq!(bad.compile().unwrap_err().to_string(), "the variable A holds a NUL byte");
    }
}
