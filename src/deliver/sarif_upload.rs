//! Handing a run's findings to code scanning: one upload after the check run, and a look at what became of it.
//!
//! A second upload of one command for one commit replaces the first, so nothing here has to be remembered: what is in
//! doubt is made again. The document is the record's own; what code scanning would refuse it for is left out and counted.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::clock::Timestamp;
use crate::deliver::publish::Cancelled;
use crate::deliver::remote::Remote;
use crate::finding::FINGERPRINT;
use crate::github::client::{self, ClientError, Request};
use crate::github::code_scanning::{self, Accepted, MAX_COMPRESSED, Progress, Status, UploadSarif};
use crate::github::refusal::{Reason, Refusal};
use crate::record::delivery::{Delivered, Processing, SarifDelivery};

/// How long the upload may take.
const TIME: Duration = Duration::from_mins(1);

/// How long it is waited for what becomes of it. Most uploads are looked at within seconds; what lasts longer is told by
/// code scanning itself, on the repository's page.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pause before the first look. Each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// The name of the tool, by which analyses can be filtered.
const TOOL: &str = "rungate";

/// The partial fingerprint by which code scanning knows an alert again.
const LINE_HASH: &str = "primaryLocationLineHash";

/// Most of the server's complaints that are repeated, in characters.
const MAX_COMPLAINTS: usize = 500;

/// What is uploaded.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The commit that was judged.
    pub sha: String,
    /// The full reference for which it was.
    pub git_ref: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// The document.
    pub document: Document,
}

/// A SARIF as code scanning takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// By gzip and then by Base64.
    pub packed: String,
    /// Results that it holds.
    pub results: u64,
    /// Results that name no file of the repository. Code scanning refuses the whole document for one of them.
    pub without_place: u64,
}

/// Why a stored SARIF cannot be uploaded.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It cannot be read.
    #[error("the SARIF of the record cannot be read")]
    Read(#[from] io::Error),
    /// It is not laid out as rungate does.
    #[error("the SARIF of the record is not as rungate wrote it")]
    Form,
    /// It is too large.
    #[error("the SARIF has {size} bytes when compressed, and code scanning takes {MAX_COMPRESSED}")]
    TooLarge {
        /// Its compressed size.
        size: usize,
    },
}

impl Document {
    /// The document that `input` holds, which is a record's `findings.sarif`. It is read line by line: there, each result
    /// is a line.
    ///
    /// # Errors
    /// Fails when it cannot be read, was not written by rungate, or is too large for code scanning.
    pub fn read(mut input: impl BufRead) -> Result<Self, DocumentError> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        let mut line = Vec::new();
        let (mut results, mut without_place) = (0, 0);
        let mut next = |line: &mut Vec<u8>| {
            line.clear();
            input.read_until(b'\n', line)
        };
        next(&mut line)?;
        if !line.ends_with(b"\"results\":[\n") {
            return Err(DocumentError::Form);
        }
        out.write_all(&line)?;
        loop {
            if next(&mut line)? == 0 {
                return Err(DocumentError::Form);
            }
            if line.starts_with(b"]") {
                break;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b",").unwrap_or(text);
            let result: Value = serde_json::from_slice(text).map_err(|_| DocumentError::Form)?;
            match placed(result) {
                Some(result) => {
                    out.write_all(if results == 0 { b"" } else { b",\n" })?;
                    serde_json::to_writer(&mut out, &result).map_err(io::Error::from)?;
                    results += 1;
                }
                None => without_place += 1,
            }
        }
        out.write_all(b"\n")?;
        out.write_all(&line)?;
        io::copy(&mut input, &mut out)?;
        let compressed = out.finish()?;
        if compressed.len() > MAX_COMPRESSED {
            return Err(DocumentError::TooLarge { size: compressed.len() });
        }
        Ok(Self { packed: BASE64_STANDARD.encode(compressed), results, without_place })
    }
}

/// `result`, when it is in a file of the repository, with our fingerprint under the name that code scanning goes by:
/// without one, each push would open its alerts anew.
fn placed(mut result: Value) -> Option<Value> {
    result.pointer("/locations/0/physicalLocation/artifactLocation/uriBaseId")?;
    if let Some(fingerprints) = result.get_mut("partialFingerprints").and_then(Value::as_object_mut)
        && let Some(fingerprint) = fingerprints.get(FINGERPRINT).cloned()
    {
        fingerprints.insert(LINE_HASH.to_owned(), fingerprint);
    }
    Some(result)
}

impl Upload {
    /// The body that is sent.
    fn body(&self) -> UploadSarif {
        UploadSarif {
            commit_sha: self.sha.clone(),
            git_ref: self.git_ref.clone(),
            sarif: self.document.packed.clone(),
            started_at: self.started_at,
            tool_name: TOOL.to_owned(),
        }
    }

    /// The request about `repository`, for a reader: with the size of the document in place of it.
    #[must_use]
    pub fn shown(&self, repository: &str) -> Value {
        let bytes = self.document.packed.len();
        let sarif = format!("(findings.sarif by gzip and Base64, {bytes} bytes)");
        let body = UploadSarif { sarif, ..self.body() };
        json!({"method": "POST", "path": code_scanning::uploads(repository), "body": body})
    }
}

/// Uploads, and waits a little for what becomes of it. A run that is cancelled meanwhile ends it.
pub async fn upload(remote: &Remote, upload: &Upload, cancelled: Option<Cancelled>) -> SarifDelivery {
    let Document { results, without_place, .. } = upload.document;
    let delivery = SarifDelivery { results, without_place, ..SarifDelivery::default() };
    let Some(mut cancelled) = cancelled else { return send(remote, upload, delivery).await };
    let stopped = delivery.clone().failed("the run was cancelled");
    tokio::select! {
        biased;
        Ok(_) = cancelled.wait_for(|cancelled| *cancelled) => stopped,
        delivery = send(remote, upload, delivery) => delivery,
    }
}

async fn send(remote: &Remote, upload: &Upload, delivery: SarifDelivery) -> SarifDelivery {
    let repository = remote.repository.to_string();
    let body = match serde_json::to_value(upload.body()) {
        Ok(body) => body,
        Err(error) => return delivery.failed(error.to_string()),
    };
    let request = Request::post(code_scanning::uploads(&repository), body).repeatable();
    let sent = remote.client.send(&request, Instant::now() + TIME).await;
    match sent.and_then(|answer| client::read::<Accepted>(&answer)) {
        Ok(Accepted { id }) => {
            watch(remote, &code_scanning::upload(&repository, &id), delivery.accepted(id)).await
        }
        Err(error) => delivery.failed(in_words(&error)),
    }
}

/// Looks what becomes of an accepted upload, for as long as it is worth waiting.
async fn watch(remote: &Remote, path: &str, delivery: SarifDelivery) -> SarifDelivery {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = PAUSE;
    loop {
        let next = Instant::now() + pause;
        if next >= deadline {
            return delivery;
        }
        sleep_until(next).await;
        pause *= 2;
        // An upload that is not there yet is there later. Whatever else is wrong: it was accepted, and that stands.
        let Ok(answer) = remote.client.send(&Request::get(path), deadline).await else { continue };
        let Ok(status) = client::read::<Status>(&answer) else { continue };
        match status.processing_status {
            Progress::Pending => {}
            Progress::Complete => {
                return SarifDelivery { processing: Some(Processing::Complete), ..delivery };
            }
            Progress::Failed => {
                let complaints = status.errors.unwrap_or_default().join("; ");
                let complaints: String = complaints.chars().take(MAX_COMPLAINTS).collect();
                let failed = SarifDelivery { processing: Some(Processing::Failed), ..delivery };
                return failed.failed(format!("code scanning could not use the SARIF: {complaints}"));
            }
        }
    }
}

/// What is wrong, and who has to do what.
fn in_words(error: &ClientError) -> String {
    let ClientError::Refused(refusal) = error else {
        return format!("{}; {}", error.full_text(), error.remedy());
    };
    let Refusal { status, said, reason, .. } = refusal;
    let about_code_scanning = ["code scanning", "code security", "advanced security"];
    let lower = said.to_ascii_lowercase();
    match (status, reason) {
        (403, _) if about_code_scanning.iter().any(|words| lower.contains(words)) => format!(
            "code scanning is not enabled for the repository (status 403: {said}); an administrator of the organization \
             or repository has to enable it in the settings, or the author of the manifest to remove `sarif-upload`"
        ),
        (_, Reason::NotGranted | Reason::Permission) => format!(
            "the App or the token lacks the permission `security_events: write` (status {status}: {said}); {}",
            error.remedy()
        ),
        (413, _) => format!("the SARIF is larger than the server takes (status 413: {said})"),
        (400 | 422, _) => format!("the server does not accept the upload (status {status}: {said})"),
        _ => format!("{}; {}", error.full_text(), error.remedy()),
    }
}

impl SarifDelivery {
    fn accepted(self, id: String) -> Self {
        Self { upload: Delivered::Delivered, id: Some(id), processing: Some(Processing::Pending), ..self }
    }

    fn failed(self, reason: impl Into<String>) -> Self {
        Self { upload: Delivered::Failed, reason: Some(reason.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    /// The JSON that a document holds.
    fn unpacked(document: &Document) -> Value {
        let compressed = BASE64_STANDARD.decode(&document.packed).unwrap();
        let mut text = String::new();
        GzDecoder::new(&compressed[..]).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    const HEAD: &str = "{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{},\"results\":[";
    const IN_FILE: &str = r#"{"message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.c","uriBaseId":"SRCROOT"}}}],"partialFingerprints":{"rungate/v1":"0f"}}"#;
    const OUTSIDE: &str =
        r#"{"locations":[{"physicalLocation":{"artifactLocation":{"uri":"file:///etc/x"}}}]}"#;
    const NOWHERE: &str = r#"{"message":{"text":"n"}}"#;
    const TAIL: &str = "],\"invocations\":[{}]}]}\n";

    #[test]
    fn results_without_a_file_are_left_out_and_counted() {
        for lines in [
            [NOWHERE, IN_FILE, OUTSIDE].join(",\n"),
            [IN_FILE, NOWHERE, OUTSIDE].join(",\n"),
            [NOWHERE, OUTSIDE, IN_FILE].join(",\n"),
        ] {
            let document = Document::read(format!("{HEAD}\n{lines}\n{TAIL}").as_bytes()).unwrap();
            assert_eq!((document.results, document.without_place), (1, 2));
            let run = &unpacked(&document)["runs"][0];
            assert_eq!(run["results"].as_array().unwrap().len(), 1);
            assert_eq!(run["results"][0]["partialFingerprints"][LINE_HASH], "0f");
            assert!(run["invocations"].is_array(), "{run}");
        }
    }

    #[test]
    fn no_results_are_a_document_too_for_they_close_alerts() {
        let document = Document::read(format!("{HEAD}\n{TAIL}").as_bytes()).unwrap();
        assert_eq!(unpacked(&document)["runs"][0]["results"], json!([]));
    }

    #[test]
    fn a_file_of_somebody_else_is_refused() {
        for text in ["", "{}\n", HEAD, &format!("{HEAD}\n{IN_FILE}\n"), &format!("{HEAD}\nx\n{TAIL}")] {
            assert!(matches!(Document::read(text.as_bytes()), Err(DocumentError::Form)), "{text}");
        }
    }

    #[test]
    fn refusals_name_who_can_mend_them() {
        let of = |status, said: &str| {
            let answer = crate::http::Answer::of(status, &[], &json!({ "message": said }).to_string());
            let purpose = crate::github::refusal::Purpose::Call;
            in_words(&ClientError::Refused(Refusal::of(&answer, purpose)))
        };
        let enabled = of(403, "Advanced Security must be enabled for this repository to use code scanning.");
        assert!(enabled.contains("not enabled") && enabled.contains("administrator"), "{enabled}");
        let permission = of(403, "Resource not accessible by integration");
        assert!(permission.contains("security_events: write"), "{permission}");
        assert!(of(413, "too large").contains("larger"));
        assert!(of(422, "commit not found").contains("commit not found"));
    }
}
