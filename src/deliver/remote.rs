//! GitHub itself, as the way that a delivery takes.

use tokio::time::Instant;

use crate::deliver::publish::Api;
use crate::deliver::state::Came;
use crate::github::checks::Call;
use crate::github::client::{self, Client, ClientError, Request};
use crate::github::refusal::Reason;
use crate::github::repository::Repository;
use crate::http::Method;

/// GitHub.
#[derive(Debug)]
pub struct Remote {
    /// The way to it.
    pub client: Client,
    /// The repository.
    pub repository: Repository,
}

impl Api for Remote {
    async fn call(&self, call: &Call, deadline: Instant) -> Came {
        match self.made(call, deadline).await {
            Ok(came) => came,
            Err(error) => {
                let (text, remedy) = (error.full_text(), error.remedy());
                match error {
                    ClientError::Ambiguous { .. } | ClientError::Unexpected { .. } => Came::Doubt(text),
                    ClientError::Unreachable { .. }
                    | ClientError::Unavailable { .. }
                    | ClientError::DeadlineExceeded { .. } => Came::Failed(text),
                    ClientError::Refused(refusal) if refusal.reason == Reason::Invalid => {
                        Came::Invalid(format!("{text}; {remedy}"))
                    }
                    ClientError::Refused(_)
                    | ClientError::Sign(_)
                    | ClientError::NoKey
                    | ClientError::Host(_) => Came::Refused(format!("{text}; {remedy}")),
                }
            }
        }
    }

    fn is_pressed(&self) -> bool {
        self.client.is_pressed()
    }

    async fn app_id(&self) -> Option<u64> {
        self.client.app_id().await
    }
}

impl Remote {
    async fn made(&self, call: &Call, deadline: Instant) -> Result<Came, ClientError> {
        let path = call.path(&self.repository.to_string());
        let body = call.body().map_err(|source| ClientError::Unexpected { source })?.unwrap_or_default();
        let request = match call.method() {
            Method::Post => Request::post(path, body),
            Method::Patch => Request::patch(path, body),
            Method::Get | Method::Delete => Request::get(path),
        };
        let request = if call.is_repeatable() { request.repeatable() } else { request };
        let answer = self.client.send(&request, deadline).await?;
        Ok(match call {
            Call::Find { .. } | Call::Open { .. } => {
                Came::Runs(client::read::<crate::github::checks::CheckRuns>(&answer)?.check_runs)
            }
            Call::Create(_) | Call::Update { .. } | Call::Get { .. } => Came::Run(client::read(&answer)?),
        })
    }
}
