//! The results service's words: Twirp with JSON bodies. Numbers of 64 bits travel as texts; answers come with names of
//! either style, because GitHub's own and others' implementations differ in that.

use serde::{Deserialize, Deserializer, Serialize};

/// Where the methods are, below the origin.
pub(super) const PATH: &str = "/twirp/github.actions.results.api.v1.ArtifactService/";

/// The version of artifacts since single files may be uploaded as they are.
pub(super) const VERSION: u32 = 7;

/// By what every call says whose it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ids<'a> {
    pub(super) workflow_run_backend_id: &'a str,
    pub(super) workflow_job_run_backend_id: &'a str,
}

/// The body of `CreateArtifact`.
#[derive(Debug, Serialize)]
pub(super) struct Create<'a> {
    #[serde(flatten)]
    pub(super) ids: Ids<'a>,
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<String>,
    pub(super) version: u32,
    pub(super) mime_type: &'a str,
}

/// The body of `FinalizeArtifact`.
#[derive(Debug, Serialize)]
pub(super) struct Finalize<'a> {
    #[serde(flatten)]
    pub(super) ids: Ids<'a>,
    pub(super) name: &'a str,
    pub(super) size: String,
    pub(super) hash: String,
}

/// The body of `ListArtifacts`.
#[derive(Debug, Serialize)]
pub(super) struct List<'a> {
    #[serde(flatten)]
    pub(super) ids: Ids<'a>,
    pub(super) name_filter: &'a str,
}

/// The body of `DeleteArtifact`.
#[derive(Debug, Serialize)]
pub(super) struct Delete<'a> {
    #[serde(flatten)]
    pub(super) ids: Ids<'a>,
    pub(super) name: &'a str,
}

/// The answer to `CreateArtifact`.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) ok: bool,
    #[serde(default, alias = "signedUploadUrl")]
    pub(super) signed_upload_url: String,
}

/// The answer to `FinalizeArtifact`.
#[derive(Debug, Deserialize)]
pub(super) struct Finalized {
    pub(super) ok: bool,
    #[serde(default, alias = "artifactId", deserialize_with = "number")]
    pub(super) artifact_id: String,
}

/// The answer to `ListArtifacts`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Listed {
    #[serde(default)]
    pub(super) artifacts: Vec<Known>,
}

/// An artifact that is there.
#[derive(Debug, Deserialize)]
pub(super) struct Known {
    #[serde(default, alias = "databaseId", deserialize_with = "number")]
    pub(super) database_id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) digest: Option<String>,
}

/// What an error's body says.
#[derive(Debug, Deserialize)]
pub(super) struct Trouble {
    #[serde(default)]
    pub(super) msg: String,
}

/// A number of 64 bits, as a text or as a number.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Either;
    impl serde::de::Visitor<'_> for Either {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number, or a text of digits")
        }

        fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<String, E> {
            if value.len() <= 20 && value.bytes().all(|byte| byte.is_ascii_digit()) {
                return Ok(value.to_owned());
            }
            Err(E::invalid_value(serde::de::Unexpected::Str(value), &self))
        }
    }
    deserializer.deserialize_any(Either)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_githubs_own_client() {
        let ids = Ids { workflow_run_backend_id: "r", workflow_job_run_backend_id: "j" };
        let create = Create {
            ids: ids.clone(),
            name: "n",
            expires_at: Some("2026-12-01T00:00:00Z".to_owned()),
            version: VERSION,
            mime_type: "application/zip",
        };
        let finalize =
            Finalize { ids, name: "n", size: 20_000_244.to_string(), hash: "sha256:00".to_owned() };
        insta::assert_snapshot!(
            format!("{}\n{}", serde_json::to_string(&create).unwrap(), serde_json::to_string(&finalize).unwrap()),
            @r#"
        {"workflow_run_backend_id":"r","workflow_job_run_backend_id":"j","name":"n","expires_at":"2026-12-01T00:00:00Z","version":7,"mime_type":"application/zip"}
        {"workflow_run_backend_id":"r","workflow_job_run_backend_id":"j","name":"n","size":"20000244","hash":"sha256:00"}
        "#
        );
    }

    #[test]
    fn answers_are_read_in_both_styles() {
        for text in [r#"{"ok":true,"artifact_id":"12"}"#, r#"{"ok":true,"artifactId":12,"more":{}}"#] {
            let read: Finalized = serde_json::from_str(text).unwrap();
            assert!(read.ok && read.artifact_id == "12", "{text}");
        }
        assert!(serde_json::from_str::<Finalized>(r#"{"ok":true,"artifact_id":"../x"}"#).is_err());
        let listed: Listed =
            serde_json::from_str(r#"{"artifacts":[{"databaseId":"3","name":"n","digest":"sha256:0"}]}"#)
                .unwrap();
        assert_eq!(listed.artifacts[0].database_id, "3");
        assert!(serde_json::from_str::<Listed>("{}").unwrap().artifacts.is_empty());
    }
}
