//! Tokens of an installation: made when first needed, renewed before they end, given back at the end.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::github::app::{App, Known, Scope, Token};
use crate::github::client::ClientError;
use crate::redact::secret::Secret;

/// A token that ends sooner than this is not used any more. A call may take half a minute, and clocks differ.
const SPARE: Duration = Duration::from_mins(5);

/// The tokens of one App for one scope.
#[derive(Debug)]
pub(super) struct Tokens {
    app: App,
    scope: Scope,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    known: Known,
    token: Option<Token>,
}

impl Tokens {
    pub(super) fn new(app: App, scope: Scope) -> Self {
        let known = Known { installation: app.named_installation(), app_id: None };
        Self { app, scope, held: Mutex::new(Held { known, token: None }) }
    }

    /// A token that lasts for a while, and is not `refused`.
    ///
    /// # Errors
    /// Fails when none can be had.
    pub(super) async fn get(
        &self,
        refused: Option<&Secret>,
        deadline: Instant,
    ) -> Result<Secret, ClientError> {
        // Somebody else may be making one, and have more time.
        let late = |_| ClientError::DeadlineExceeded { waiting_for: None };
        let mut held = timeout_at(deadline, self.held.lock()).await.map_err(late)?;
        if let Some(token) = &held.token
            && Some(&token.secret) != refused
            && token.expires_at.since(self.app.server_now()) >= SPARE
        {
            return Ok(token.secret.clone());
        }
        let token = self.app.token_of(&mut held.known, &self.scope, deadline).await?;
        let secret = token.secret.clone();
        held.token = Some(token);
        Ok(secret)
    }

    /// The App's numeric id, as soon as a token was asked for.
    pub(super) async fn app_id(&self) -> Option<u64> {
        self.held.lock().await.known.app_id
    }

    /// Gives the token back, when there is one that has not ended.
    pub(super) async fn revoke(&self, deadline: Instant) {
        let Ok(mut held) = timeout_at(deadline, self.held.lock()).await else { return };
        let Some(token) = held.token.take() else { return };
        if token.expires_at > self.app.server_now() {
            // It ends by itself; nobody has to be told that it ends later than it could.
            let _ = self.app.revoke(&token.secret, deadline).await;
        }
    }
}
