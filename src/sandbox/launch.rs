//! What is to be started, as data, and its compilation to a [`Spec`].

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::sandbox::compile::{self, CompileError};
use crate::sandbox::confinement::{Confinement, PrivateFile};
use crate::sandbox::host::{Ground, Host};
use crate::sandbox::seccomp::{self, Rules};
use crate::sandbox::spec::codec::Blob;
use crate::sandbox::spec::{Ending, Spec, c_string};

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
    /// The spec that the helper is told on `host`, where the launch's own folders hold `ground`. Pure; `filter` compiles
    /// rules of the system call filter.
    ///
    /// # Errors
    /// Names the first text that holds a NUL byte, which no program can be given, or what cannot be shown to a child.
    pub fn compile(
        &self,
        host: &Host,
        ground: &Ground,
        filter: impl FnOnce(Rules) -> Result<Blob, seccomp::CompileError>,
    ) -> Result<Spec, CompileError> {
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
        let confined = match &self.confinement {
            Some(policy) => compile::confined(policy, &self.private, host, ground, filter)?,
            None => None,
        };
        Ok(Spec { program, argv, env, cwd, ending: Ending::Execute, confined })
    }
}

fn shown(name: &OsStr) -> String {
    name.to_string_lossy().replace('\0', "\\0")
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

    fn compile(launch: &Launch) -> Result<Spec, CompileError> {
        launch.compile(&Host::default(), &Ground::default(), |_| Ok(Blob::default()))
    }

    #[test]
    fn a_launch_compiles_to_exactly_this_spec() {
        let spec = compile(&launch()).unwrap();
        assert_eq!(
            spec,
            Spec {
                program: c"/bin/sh".into(),
                argv: vec![c"/bin/sh".into(), c"-e".into(), c"$(touch x) \n".into()],
                env: vec![c"A=1=2".into()],
                cwd: c"/tmp".into(),
                ending: Ending::Execute,
                confined: None,
            }
        );
    }

    #[test]
    fn a_nul_byte_is_refused_by_name() {
        let mut bad = launch();
        bad.args[1] = "a\0b".into();
        assert_eq!(compile(&bad).unwrap_err().to_string(), "argument 2 holds a NUL byte");
        let mut bad = launch();
        bad.env[0].1 = "a\0b".into();
        assert_eq!(compile(&bad).unwrap_err().to_string(), "the variable A holds a NUL byte");
    }
}
