//! `action.yml` as a runner executes it: contexts, conditions, a file of outputs a step, and bash with the runner's flags.
//! What a runner does is written down here by its specification; a program of others does the same in `tests/runner`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::context::{Ran, command};

/// An action, read by its indentation: a file of ours that is written in one way.
pub(crate) struct Composite {
    folder: PathBuf,
    /// Each input and its default; none for one that is required.
    pub(crate) inputs: Vec<(String, Option<String>)>,
    /// Each output and the expression of its value.
    pub(crate) outputs: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Default)]
pub(crate) struct Step {
    pub(crate) id: String,
    condition: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) run: Option<String>,
    pub(crate) uses: Option<String>,
    with: Vec<(String, String)>,
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim().split_once(':')?;
    let value = value.trim();
    let plain = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(value);
    Some((name, plain))
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

impl Composite {
    pub(crate) fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("action.yml")).unwrap();
        let (head, steps) = text.split_once("\n  steps:\n").unwrap();
        let (inputs, outputs) = head.split_once("\noutputs:\n").unwrap();
        let inputs = entries(inputs.split_once("\ninputs:\n").unwrap().1)
            .into_iter()
            .map(|(name, fields)| (name, fields.get("default").cloned()))
            .collect();
        let outputs = entries(outputs.split_once("\nruns:").unwrap().0)
            .into_iter()
            .map(|(name, fields)| (name, fields["value"].clone()))
            .collect();
        let steps = steps.split("    - name: ").skip(1).map(step).collect();
        Self { folder: folder.to_owned(), inputs, outputs, steps }
    }
}

/// What stands under names of two blanks: their fields.
fn entries(text: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut entries: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = field(line).unwrap();
        if indentation(line) == 2 {
            entries.push((name.to_owned(), BTreeMap::new()));
        } else {
            entries.last_mut().unwrap().1.insert(name.to_owned(), value.to_owned());
        }
    }
    entries
}

fn step(text: &str) -> Step {
    let mut step = Step::default();
    let mut under = String::new();
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let at = indentation(line);
        if line.trim().starts_with('#') || at > 8 {
            continue;
        }
        let (name, value) = field(line).unwrap();
        if at == 8 {
            let list = if under == "env" { &mut step.env } else { &mut step.with };
            list.push((name.to_owned(), value.to_owned()));
            continue;
        }
        name.clone_into(&mut under);
        match name {
            "id" => value.clone_into(&mut step.id),
            "if" => value.clone_into(&mut step.condition),
            "run" => step.run = Some(value.to_owned()),
            "uses" => step.uses = value.split_once('@').map(|(action, _)| action.to_owned()),
            "shell" => assert_eq!(value, "bash"),
            "env" | "with" => {}
            other => panic!("this runner does not know the key {other}"),
        }
    }
    step
}

/// A job that uses the action.
pub(crate) struct Job {
    composite: Composite,
    folder: tempfile::TempDir,
    workspace: PathBuf,
    inputs: BTreeMap<String, String>,
    host: Vec<(String, String)>,
    /// What the artifact service gave to steps that are JavaScript.
    service: BTreeMap<&'static str, String>,
    outputs: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) outcomes: BTreeMap<String, &'static str>,
    pub(crate) uploads: Vec<BTreeMap<String, String>>,
    pub(crate) log: String,
    failed: bool,
}

impl Job {
    pub(crate) fn new(action: &Path, workspace: &Path, with: &[(&str, &str)], host: &[(&str, &str)]) -> Self {
        let composite = Composite::read(action);
        let mut inputs = BTreeMap::new();
        for (name, default) in &composite.inputs {
            inputs.extend(default.clone().map(|value| (name.clone(), value)));
        }
        for (name, value) in with {
            assert!(composite.inputs.iter().any(|(known, _)| known == name), "there is no input {name}");
            inputs.insert((*name).to_owned(), (*value).to_owned());
        }
        Self {
            composite,
            folder: tempfile::tempdir().unwrap(),
            workspace: workspace.to_owned(),
            inputs,
            host: host.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            service: BTreeMap::new(),
            outputs: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            uploads: Vec::new(),
            log: String::new(),
            failed: false,
        }
    }

    pub(crate) fn with_service(mut self, token: &str, url: &str) -> Self {
        self.service = BTreeMap::from([
            ("token", token.to_owned()),
            ("results-url", url.to_owned()),
            ("runtime-url", url.to_owned()),
        ]);
        self
    }

    fn value(&self, name: &str) -> String {
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            ["inputs", input] => self.inputs.get(input).cloned().unwrap_or_default(),
            ["github", "action_repository"] => "rungate/rungate".to_owned(),
            ["steps", step, "outputs", output] => {
                self.outputs.get(step).and_then(|outputs| outputs.get(output)).cloned().unwrap_or_default()
            }
            ["steps", step, "outcome"] => (*self.outcomes.get(step).unwrap_or(&"")).to_owned(),
            _ => panic!("this runner has no {name}"),
        }
    }

    fn evaluated(&self, text: &str) -> String {
        if let Some(name) = text.strip_prefix("${{ ").and_then(|rest| rest.strip_suffix(" }}")) {
            return self.value(name);
        }
        assert!(!text.contains("${{"), "a value is pasted into {text}");
        text.to_owned()
    }

    /// Whether a step is due: without a status function only while nothing has failed.
    fn is_due(&self, condition: &str) -> bool {
        let terms: Vec<&str> = condition.split(" && ").filter(|term| !term.is_empty()).collect();
        let always = terms.contains(&"always()");
        (always || !self.failed)
            && terms.iter().filter(|term| **term != "always()").all(|term| {
                let (name, wanted, is_equal) = term
                    .split_once(" == ")
                    .map(|(name, wanted)| (name, wanted, true))
                    .or_else(|| term.split_once(" != ").map(|(name, wanted)| (name, wanted, false)))
                    .unwrap_or_else(|| panic!("this runner cannot judge {term}"));
                (self.value(name) == wanted.trim_matches('\'')) == is_equal
            })
    }

    fn outputs_file(&self, step: &Step) -> PathBuf {
        self.folder.path().join(format!("output-{}", step.id))
    }

    /// A step's process as a runner starts it, with nothing but the job's variables.
    fn process(&self, step: &Step) -> Command {
        let script = self.folder.path().join("step.sh");
        std::fs::write(&script, format!("{}\n", step.run.as_ref().unwrap())).unwrap();
        let output = self.outputs_file(step);
        std::fs::write(&output, "").unwrap();
        let mut process = command("bash");
        process.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(script);
        process
            .current_dir(&self.workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        process
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_ACTION_PATH", &self.composite.folder)
            .env("GITHUB_WORKSPACE", &self.workspace)
            .env("GITHUB_OUTPUT", output)
            .env("RUNNER_TEMP", self.folder.path());
        process.envs(self.host.iter().cloned());
        process.envs(step.env.iter().map(|(name, value)| (name, self.evaluated(value))));
        process
    }

    fn ended(&mut self, step: &Step, ran: &Ran) {
        self.log.push_str(&ran.stdout);
        self.log.push_str(&ran.stderr);
        let text = std::fs::read_to_string(self.outputs_file(step)).unwrap();
        self.outputs.insert(step.id.clone(), file_command(&text));
        let outcome = if ran.code == Some(0) { "success" } else { "failure" };
        self.failed |= outcome == "failure";
        self.outcomes.insert(step.id.clone(), outcome);
    }

    fn node(&mut self, step: &Step) {
        let with: BTreeMap<String, String> =
            step.with.iter().map(|(name, value)| (name.clone(), self.evaluated(value))).collect();
        match step.uses.as_deref() {
            Some("actions/github-script") => {
                let outputs = self.service.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                self.outputs.insert(step.id.clone(), outputs.collect());
            }
            Some("actions/upload-artifact") => self.uploads.push(with),
            other => panic!("this runner does not have {other:?}"),
        }
        self.outcomes.insert(step.id.clone(), "success");
    }

    /// Runs all steps. `watch` gets each process that was started, to do what a person or a runner does to it meanwhile.
    pub(crate) fn run_watched(mut self, mut watch: impl FnMut(&Step, &mut Child)) -> Self {
        for step in std::mem::take(&mut self.composite.steps) {
            if !self.is_due(&step.condition) {
                self.outcomes.insert(step.id.clone(), "skipped");
            } else if step.run.is_some() {
                let mut child = self.process(&step).spawn().unwrap();
                watch(&step, &mut child);
                let ran = Ran::from(child.wait_with_output().unwrap());
                self.ended(&step, &ran);
            } else {
                self.node(&step);
            }
        }
        self
    }

    pub(crate) fn run(self) -> Self {
        self.run_watched(|_, _| {})
    }

    /// An output of the action, as the workflow sees it.
    pub(crate) fn output(&self, name: &str) -> String {
        let (_, expression) = self.composite.outputs.iter().find(|(known, _)| known == name).unwrap();
        self.evaluated(expression)
    }

    /// The names of all outputs that a step has written.
    pub(crate) fn written(&self, step: &str) -> Vec<&str> {
        self.outputs[step].keys().map(String::as_str).collect()
    }
}

/// A file command's names and values, by the runner's rules; what it would refuse is a panic.
fn file_command(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let line = line.trim_end_matches('\n');
        if line.is_empty() {
            continue;
        }
        match (line.find('='), line.find("<<")) {
            (Some(equals), heredoc) if heredoc.is_none_or(|at| equals < at) => {
                pairs.insert(line[..equals].to_owned(), line[equals + 1..].to_owned());
            }
            (_, Some(at)) => {
                let delimiter = format!("{}\n", &line[at + 2..]);
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
                pairs.insert(line[..at].to_owned(), value.concat().trim_end_matches('\n').to_owned());
            }
            _ => panic!("neither NAME=VALUE nor NAME<<DELIMITER: {line}"),
        }
    }
    pairs
}
