//! Answers about Apps, installations and tokens: only what is used, and nothing that a server may leave out is required.

use std::collections::BTreeMap;

use serde::Deserialize;

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
    /// The App's name in addresses.
    pub app_slug: Option<String>,
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

/// A fresh token.
#[derive(Deserialize)]
pub(super) struct Minted {
    pub(super) token: String,
    pub(super) expires_at: String,
    #[serde(default)]
    pub(super) permissions: BTreeMap<String, String>,
}
