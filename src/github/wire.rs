//! Answers about Apps, installations and tokens: only what is used, and nothing that a server may leave out is required.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// An App, as it sees itself.
#[derive(Clone, Debug, Deserialize)]
pub struct App {
    /// Numeric id.
    pub id: u64,
    /// Client id; older servers do not have it.
    pub client_id: Option<String>,
    /// Name in addresses.
    pub slug: Option<String>,
    /// Name for people.
    pub name: String,
    /// Who registered it.
    pub owner: Option<Account>,
    /// Permissions that it asks for.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// Events that it is told.
    #[serde(default)]
    pub events: Vec<String>,
    /// Its page.
    pub html_url: Option<String>,
}

/// A user, an organization or an enterprise.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Its name; enterprises have a `slug` instead.
    #[serde(alias = "slug")]
    pub login: Option<String>,
}

/// An App on the repositories of one owner.
#[derive(Clone, Debug, Deserialize)]
pub struct Installation {
    /// Its id.
    pub id: u64,
    /// The App's numeric id.
    pub app_id: Option<u64>,
    /// On whose repositories.
    pub account: Option<Account>,
    /// Permissions that were granted.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// `all`, or `selected`.
    pub repository_selection: Option<String>,
    /// Since when it is suspended.
    pub suspended_at: Option<String>,
}

/// Where an App is told of events.
#[derive(Clone, Debug, Deserialize)]
pub struct Webhook {
    /// The address, where there is one.
    #[serde(default, deserialize_with = "filled")]
    pub url: Option<String>,
    /// `0` where the certificate of the address is looked at.
    #[serde(default, deserialize_with = "word")]
    pub insecure_ssl: Option<String>,
}

/// A text that says something.
fn filled<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()))
}

/// A flag that is a text in one answer and a number in another.
fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(from)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// A fresh token.
#[derive(Deserialize)]
pub(super) struct Minted {
    pub(super) token: String,
    pub(super) expires_at: String,
}
