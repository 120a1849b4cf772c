//! The Checks API on the wire: the bodies that are sent, and the part of the answers that is used.
//!
//! Values only. Who sends them, and whether their texts fit GitHub's limits, is not known here.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::finding::Level;
use crate::http::Method;
use crate::record::Conclusion;

/// Most annotations that one request may carry.
pub const MAX_BATCH: usize = 50;

/// Where a check run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is being made.
    #[default]
    InProgress,
    /// It has a conclusion.
    Completed,
    /// Another state, such as one that only GitHub sets.
    #[serde(other)]
    Other,
}

/// The body that creates a check run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CreateCheckRun {
    /// Its name, by which branch rules know it.
    pub name: String,
    /// The commit, as 40 hexadecimal digits.
    pub head_sha: String,
    /// Where the details are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details_url: Option<String>,
    /// Our own id of the run, by which a run whose creation was not answered is found.
    pub external_id: String,
    /// Where it stands.
    pub status: Status,
    /// When the run began.
    #[serde(serialize_with = "whole_seconds")]
    pub started_at: Timestamp,
    /// What it says.
    pub output: Output,
}

/// The body that changes a check run. What is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UpdateCheckRun {
    /// Where it stands. Absent when it has a conclusion already, which a status would take away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_seconds")]
    pub completed_at: Option<Timestamp>,
    /// What it says.
    pub output: Output,
}

/// What a check run says. Title and summary replace those before; annotations are added to those before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// One line.
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// At most [`MAX_BATCH`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
}

/// A message at a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Annotation {
    /// Path in the repository, without `./` before it.
    pub path: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, not before the first.
    pub end_line: u32,
    /// First column; only when there is one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_column: Option<u32>,
    /// Last column; only when there is one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// How bad it is.
    pub annotation_level: Level,
    /// What is wrong, at most 64 KB.
    pub message: String,
    /// A heading, at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A check run as GitHub tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CheckRun {
    /// Its id.
    pub id: u64,
    /// Its page, for people.
    #[serde(default)]
    pub html_url: Option<String>,
    /// What [`CreateCheckRun::external_id`] said.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// When it began, as GitHub writes it.
    #[serde(default)]
    pub started_at: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// What it says.
    #[serde(default)]
    pub output: Said,
}

/// What is told of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Said {
    /// Annotations that it has.
    #[serde(default)]
    pub annotations_count: u64,
}

/// A page of check runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckRuns {
    /// The runs.
    pub check_runs: Vec<CheckRun>,
}

fn whole_seconds<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.whole_seconds())
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn optional_seconds<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::whole_seconds).serialize(serializer)
}

/// One request of the Checks API about one repository.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Creates a check run.
    Create(CreateCheckRun),
    /// Changes one.
    Update {
        /// Its id.
        id: u64,
        /// How.
        update: UpdateCheckRun,
    },
    /// Reads one.
    Get {
        /// Its id.
        id: u64,
    },
    /// Lists the newest runs of one name on one commit.
    Find {
        /// The commit.
        sha: String,
        /// The name.
        name: String,
        /// The App that made them, where it is known.
        app: Option<u64>,
    },
    /// Lists the runs on one commit that have no conclusion.
    Open {
        /// The commit, or a name that stands for one.
        reference: String,
        /// The App that made them, where it is known.
        app: Option<u64>,
    },
}

impl Call {
    /// What is done.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Create(_) => Method::Post,
            Self::Update { .. } => Method::Patch,
            Self::Get { .. } | Self::Find { .. } | Self::Open { .. } => Method::Get,
        }
    }

    /// Whether a second time does no harm: annotations would be there twice, and so would a check run.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        match self {
            Self::Create(_) => false,
            Self::Update { update, .. } => update.output.annotations.is_empty(),
            Self::Get { .. } | Self::Find { .. } | Self::Open { .. } => true,
        }
    }

    /// The path below the API's base, with its query, for `repository` (`owner/name`).
    #[must_use]
    pub fn path(&self, repository: &str) -> String {
        let runs = format!("/repos/{repository}/check-runs");
        match self {
            Self::Create(_) => runs,
            Self::Update { id, .. } | Self::Get { id } => format!("{runs}/{id}"),
            Self::Find { sha, name, app } => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("check_name", name);
                query.append_pair("filter", "all").append_pair("per_page", "100");
                if let Some(app) = app {
                    query.append_pair("app_id", &app.to_string());
                }
                let query = query.finish();
                format!("/repos/{repository}/commits/{sha}/check-runs?{query}")
            }
            Self::Open { reference, app } => {
                let reference: String = url::form_urlencoded::byte_serialize(reference.as_bytes()).collect();
                let app = app.map(|app| format!("&app_id={app}")).unwrap_or_default();
                // A blank in a path is not a plus sign.
                let reference = reference.replace('+', "%20");
                let query = format!("status=in_progress&filter=all&per_page=100{app}");
                format!("/repos/{repository}/commits/{reference}/check-runs?{query}")
            }
        }
    }

    /// The body, when there is one.
    ///
    /// # Errors
    /// None that a body of this kind can cause.
    pub fn body(&self) -> Result<Option<serde_json::Value>, serde_json::Error> {
        match self {
            Self::Create(create) => serde_json::to_value(create).map(Some),
            Self::Update { update, .. } => serde_json::to_value(update).map(Some),
            Self::Get { .. } | Self::Find { .. } | Self::Open { .. } => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(annotations: Vec<Annotation>) -> Output {
        Output { title: "passed".into(), summary: "ok".into(), annotations }
    }

    #[test]
    fn a_creation_is_written_as_the_description_says() {
        let at = Timestamp::from_unix_seconds(1_700_000_000);
        let call = Call::Create(CreateCheckRun {
            name: "data checks".into(),
            head_sha: "a".repeat(40),
            details_url: None,
            external_id: "0190".into(),
            status: Status::InProgress,
            started_at: at,
            output: output(Vec::new()),
        });
        assert_eq!((call.method(), call.path("o/r")), (Method::Post, "/repos/o/r/check-runs".to_owned()));
        insta::assert_json_snapshot!(call.body().unwrap(), @r#"
        {
          "name": "data checks",
          "head_sha": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "external_id": "0190",
          "status": "in_progress",
          "started_at": "2023-11-14T22:13:20Z",
          "output": {
            "title": "passed",
            "summary": "ok"
          }
        }
        "#);
    }

    #[test]
    fn an_update_names_only_what_it_changes() {
        let annotation = Annotation {
            path: "a.py".into(),
            start_line: 3,
            end_line: 3,
            start_column: Some(1),
            end_column: None,
            annotation_level: Level::Failure,
            message: "no".into(),
            title: None,
        };
        let update = UpdateCheckRun {
            status: Some(Status::InProgress),
            conclusion: None,
            completed_at: None,
            output: output(vec![annotation]),
        };
        insta::assert_json_snapshot!(Call::Update { id: 7, update }.body().unwrap(), @r#"
        {
          "status": "in_progress",
          "output": {
            "title": "passed",
            "summary": "ok",
            "annotations": [
              {
                "path": "a.py",
                "start_line": 3,
                "end_line": 3,
                "start_column": 1,
                "annotation_level": "failure",
                "message": "no"
              }
            ]
          }
        }
        "#);
        let last = UpdateCheckRun {
            status: None,
            conclusion: Some(Conclusion::TimedOut),
            completed_at: Some(Timestamp::from_unix_seconds(1_700_000_000)),
            output: output(Vec::new()),
        };
        let body = Call::Update { id: 7, update: last }.body().unwrap().unwrap();
        assert_eq!(body["conclusion"], "timed_out");
        assert_eq!(body["completed_at"], "2023-11-14T22:13:20Z");
        assert!(body.get("status").is_none() && body["output"].get("annotations").is_none());
    }

    #[test]
    fn a_name_is_escaped_in_a_look_up() {
        let find = Call::Find { sha: "b".repeat(40), name: "a & b/ü".into(), app: Some(7) };
        assert!(
            find.path("o/r")
                .ends_with("/check-runs?check_name=a+%26+b%2F%C3%BC&filter=all&per_page=100&app_id=7")
        );
    }

    #[test]
    fn answers_are_read_leniently_where_nothing_depends_on_them() {
        let run: CheckRun =
            serde_json::from_str(r#"{"id":1,"status":"waiting","output":{"title":null}}"#).unwrap();
        assert_eq!((run.status, run.output.annotations_count), (Status::Other, 0));
    }
}
