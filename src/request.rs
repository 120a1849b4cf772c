//! What somebody asks for: a command of a manifest by name, and values for its inputs.
//!
//! It never carries a program, a path of a script or an argument.

/// A request to run one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunRequest {
    /// Id of the command, as asked for; whether it exists is the plan's question.
    pub command: String,
    /// Inputs from `-i NAME=VALUE`, in order. A name given twice is an error of the plan.
    pub inputs: Vec<(String, String)>,
    /// Inputs that came as one JSON object. A pair in `inputs` wins over one of the same name here.
    pub json_inputs: Option<String>,
    /// Head commit, when it was named.
    pub sha: Option<String>,
    /// Base revision, when it was named.
    pub base: Option<String>,
    /// Revision since which files count as changed; absent: the base.
    pub changed_since: Option<String>,
}
