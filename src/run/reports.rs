//! Files around a step: the script as it was planned, reports that the step wrote, its summary.

use std::fs::File;
use std::io::{Read, Take};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use crate::finding::{Finding, Level};
use crate::id::{RepoPath, Sha256};
use crate::manifest::model::OnMissing;
use crate::parse::errorformat::Errorformat;
use crate::parse::options::Options;
use crate::parse::path::PathRules;
use crate::parse::{self, matcher_file};
use crate::parse::{Item, LineFormat, LineParser, Origin, Source, reads_lines};
use crate::plan::model::{PlannedSource, SourcePlace};
use crate::redact::Registry;
use crate::run::capture::Captures;
use crate::run::ended::with_source;
use crate::run::executor::Job;
use crate::run::findings::Spool;
use crate::run::stop::Patience;
use crate::workspace::files::{self, Beneath};

/// Largest step summary that is kept, as GitHub has it.
const MAX_SUMMARY: u64 = 1 << 20;

/// Most report files of one entry that are read.
const MAX_FILES: usize = 10_000;

/// Most broken records of one report that are told.
const MAX_BROKEN: usize = 100;

/// Checks that the script at `path` is the one that was planned.
pub(super) fn verify_script(
    workspace: &Path,
    path: &RepoPath,
    planned: Sha256,
    patience: &Patience,
) -> Result<(), String> {
    let opened = Beneath::open(workspace).and_then(|root| root.file(path.as_str()));
    let file = opened.map_err(|problem| format!("script {path} {problem}"))?;
    let found = Sha256::of_reader(patience.reader(file));
    let found = found.map_err(|error| format!("script {path} cannot be read: {error}"))?;
    if found == planned {
        Ok(())
    } else {
        Err(format!("script {path} was changed after the plan was made: an earlier step wrote to it"))
    }
}

/// Reads the report files of `job` into `spool`.
pub(super) fn read_files(job: &Job, began: SystemTime, patience: &Patience, spool: &mut Spool) {
    for source in &job.sources {
        if let SourcePlace::Files(glob) = &source.from {
            read_source(job, source, glob, (began, patience), spool);
        }
    }
}

/// Reads the documents that the step wrote to its streams into `spool`.
pub(super) fn read_streams(job: &Job, captures: Captures, patience: &Patience, spool: &mut Spool) {
    for (index, kept) in captures.finish() {
        let source = &job.sources[index];
        let name = match source.from {
            SourcePlace::Stderr => "on standard error",
            SourcePlace::Stdout => "on standard output",
            SourcePlace::Both | SourcePlace::Files(_) => "in the output",
        };
        match kept {
            Ok(Some(file)) => parse_file(source, &job.workspace, name, patience.reader(file), spool),
            Ok(None) => {
                report(
                    spool,
                    source.if_no_files_found,
                    "report-missing",
                    format!("there is no report {name}"),
                );
            }
            Err(trouble) => {
                let trouble = with_source(&trouble);
                report(spool, OnMissing::Error, "report-unreadable", format!("the report {name} {trouble}"));
            }
        }
    }
}

fn read_source(
    job: &Job,
    source: &PlannedSource,
    glob: &str,
    (began, patience): (SystemTime, &Patience),
    spool: &mut Spool,
) {
    let found = match files::matching(&job.workspace, glob, MAX_FILES) {
        Ok(found) => found,
        Err(problem) => {
            report(
                spool,
                OnMissing::Error,
                "report-unreadable",
                format!("{glob} cannot be searched: {problem}"),
            );
            return;
        }
    };
    let mut read = 0;
    let mut stale = 0;
    for path in found {
        if patience.is_over() {
            let problem = "cannot be read: the run was stopped";
            report(spool, OnMissing::Error, "report-unreadable", format!("report {path} {problem}"));
            return;
        }
        match open_fresh(&job.workspace, &path, began, job.report_limit) {
            Ok(Some(file)) => {
                read += 1;
                parse_file(source, &job.workspace, &path, patience.reader(file), spool);
            }
            Ok(None) => stale += 1,
            Err(problem) => {
                report(spool, OnMissing::Error, "report-unreadable", format!("report {path} {problem}"));
            }
        }
    }
    if read == 0 {
        let stale = if stale > 0 {
            format!(" ({stale} that match are older than the step and were left alone)")
        } else {
            String::new()
        };
        let message = format!("no report file matches {glob}{stale}");
        report(spool, source.if_no_files_found, "report-missing", message);
    }
}

/// Opens a report, unless it is older than the step: then an earlier run left it there.
fn open_fresh(
    workspace: &Path,
    path: &str,
    began: SystemTime,
    limit: u64,
) -> Result<Option<Take<File>>, String> {
    let root = Beneath::open(workspace).map_err(|problem| problem.to_string())?;
    let file = root.file(path).map_err(|problem| problem.to_string())?;
    let metadata = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.len() > limit {
        return Err(format!("is larger than the limit of {limit} bytes"));
    }
    // As with artifacts: with another name it may be a file that the step itself could not have read.
    if metadata.nlink() != 1 {
        return Err(format!("has {} hard links", metadata.nlink()));
    }
    let modified = metadata.modified().map_err(|error| format!("cannot be dated: {error}"))?;
    // The kernel dates files by a coarse clock that may lie a tick (at most 10 ms) behind.
    let tick = std::time::Duration::from_millis(10);
    // What a step beside this one appends meanwhile is no part of it, and might have no end.
    Ok((modified + tick >= began).then(|| file.take(metadata.len())))
}

fn parse_file(source: &PlannedSource, workspace: &Path, path: &str, file: impl Read, spool: &mut Spool) {
    let format = match line_format(source) {
        Ok(format) => format,
        Err(problem) => return report(spool, OnMissing::Error, "matcher-broken", problem),
    };
    let options = options(source, workspace);
    let mut broken = Vec::new();
    let result = parse::file(source.parser, &options, format, file, &mut |item| match item {
        Item::Finding(finding) => spool.add(*finding),
        Item::Suppressed { finding, reason } => spool.add_suppressed(*finding, reason),
        Item::Broken { offset, message } if broken.len() < MAX_BROKEN => {
            broken.push(format!("report {path}: {message} at byte {offset}"));
        }
        Item::Test(test) => spool.tests.add(test),
        Item::Broken { .. } => {}
    });
    for message in broken {
        report(spool, source.on_parse_error, "report-broken", message);
    }
    if let Err(error) = result {
        let message = format!("report {path}: {}", with_source(&error));
        report(spool, source.on_parse_error, "report-broken", message);
    }
}

/// What the manifest says about a source, in the parsers' words.
fn options(source: &PlannedSource, workspace: &Path) -> Options {
    Options {
        tool: source.tool.clone(),
        level: source.level,
        map: source.map.clone(),
        paths: PathRules { base: source.base.clone(), strip: source.strip.clone(), ..paths(workspace) },
    }
}

/// What a source finds in lines. The plan has compiled it once already, so only a fault of ours fails here.
fn line_format(source: &PlannedSource) -> Result<LineFormat, String> {
    if !source.errorformat.is_empty() {
        let patterns = source.errorformat.iter().map(String::as_str);
        return Errorformat::compile(patterns)
            .map(LineFormat::Errorformat)
            .map_err(|error| error.to_string());
    }
    match &source.matcher {
        None => Ok(LineFormat::default()),
        Some(text) => matcher_file::compile(text)
            .map(LineFormat::Matchers)
            .map_err(|error| format!("the matcher file cannot be used: {error}")),
    }
}

/// The parser of a step's output: workflow commands, and the sources that read a stream.
pub(super) fn line_parser(sources: &[PlannedSource], workspace: &Path) -> Result<LineParser, String> {
    let mut streams = Vec::new();
    for source in sources.iter().filter(|source| reads_lines(source.parser)) {
        let only = match &source.from {
            SourcePlace::Files(_) => continue,
            SourcePlace::Both => None,
            SourcePlace::Stdout => Some(Origin::Stdout),
            SourcePlace::Stderr => Some(Origin::Stderr),
        };
        streams.push(Source { format: line_format(source)?, options: options(source, workspace), only });
    }
    Ok(LineParser::new(Some(Options { paths: paths(workspace), ..Options::default() }), streams))
}

/// What is known about every tool's paths: where the workspace is.
pub(super) fn paths(workspace: &Path) -> PathRules {
    PathRules { root: workspace.to_str().map(str::to_owned), ..PathRules::default() }
}

fn report(spool: &mut Spool, how: OnMissing, rule: &str, message: String) {
    let level = match how {
        OnMissing::Error => Level::Failure,
        OnMissing::Warn => Level::Warning,
        OnMissing::Ignore => return,
    };
    let mut finding = Finding::new("rungate", level, message);
    finding.rule = Some(rule.to_owned());
    spool.add(finding);
}

/// Keeps what the step wrote to its summary among `files`, in its `record` folder and without secrets. A summary that is
/// too large is left out whole, as GitHub does.
pub(super) fn keep_summary(files: &Beneath, record: &Path, registry: &Registry) {
    let Ok(file) = files.file("summary") else { return };
    if !file.metadata().is_ok_and(|metadata| (1..=MAX_SUMMARY).contains(&metadata.len())) {
        return;
    }
    let mut bytes = Vec::new();
    if file.take(MAX_SUMMARY).read_to_end(&mut bytes).is_ok() {
        let text = String::from_utf8_lossy(&bytes);
        // The summary is a courtesy: the record is whole without it.
        let _ = std::fs::write(record.join("summary.md"), registry.text(&text).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::stop::Stopper;
    use std::time::Duration;

    #[test]
    fn a_script_is_accepted_only_as_it_was_planned() {
        let workspace = tempfile::tempdir().unwrap();
        let path: RepoPath = "s.sh".parse().unwrap();
        std::fs::write(workspace.path().join("s.sh"), "true\n").unwrap();
        let planned = Sha256::of(b"true\n");
        let patience = Patience::new(Stopper::new().1);
        assert_eq!(verify_script(workspace.path(), &path, planned, &patience), Ok(()));
        std::fs::write(workspace.path().join("s.sh"), "false\n").unwrap();
        assert!(
            verify_script(workspace.path(), &path, planned, &patience).unwrap_err().contains("was changed")
        );
        std::fs::remove_file(workspace.path().join("s.sh")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", workspace.path().join("s.sh")).unwrap();
        assert!(verify_script(workspace.path(), &path, planned, &patience).is_err());
    }

    #[test]
    fn a_report_counts_only_when_it_is_fresh_regular_and_not_too_large() {
        let workspace = tempfile::tempdir().unwrap();
        let root = workspace.path();
        std::fs::write(root.join("r.xml"), "12345").unwrap();
        let written = std::fs::metadata(root.join("r.xml")).unwrap().modified().unwrap();
        let open = |path: &str, began, limit| open_fresh(root, path, began, limit).map(|file| file.is_some());
        assert_eq!(open("r.xml", written, 5), Ok(true));
        assert_eq!(open("r.xml", written + Duration::from_secs(1), 5), Ok(false), "an earlier run left it");
        assert!(open("r.xml", written, 4).unwrap_err().contains("larger than the limit of 4 bytes"));
        std::os::unix::fs::symlink("r.xml", root.join("link.xml")).unwrap();
        nix::unistd::mkfifo(&root.join("fifo.xml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open("link.xml", written, 5).is_err());
        assert!(open("fifo.xml", written, 5).is_err());
        std::fs::hard_link(root.join("r.xml"), root.join("hard.xml")).unwrap();
        assert!(open("hard.xml", written, 5).unwrap_err().contains("has 2 hard links"));
    }
}
