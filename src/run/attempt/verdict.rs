//! How an attempt went, from everything that was heard of it.

use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;

use crate::record::Outcome;
use crate::run::attempt::Attempt;

impl Attempt<'_> {
    /// The outcome, and why it is not success. `private` is a folder in the child's private space.
    pub(super) fn verdict(
        &self,
        code: Option<i32>,
        signal: Option<&str>,
        private: Option<&OwnedFd>,
    ) -> (Outcome, Option<String>) {
        if let Some(setup) = &self.setup {
            return (Outcome::SetupFailed, Some(setup.with_remedy()));
        }
        let limit = || self.warden.post_mortem(private, self.largest);
        let because = |how: String, limit: Option<String>| match limit {
            Some(limit) => format!("{how}: {limit}"),
            None => how,
        };
        match &self.stopping {
            Some((Outcome::TimedOut, reason)) => {
                let limit = limit().or_else(|| self.output.log.exceeded());
                return (Outcome::TimedOut, Some(because(reason.clone(), limit)));
            }
            Some((outcome, reason)) => return (*outcome, Some(reason.clone())),
            None => {}
        }
        match (code, signal) {
            (Some(0), _) => (Outcome::Success, None),
            (Some(code), _) => (Outcome::Failure, Some(because(format!("exit code {code}"), limit()))),
            (None, Some("SIGXCPU")) => (Outcome::Failure, Some(self.warden.cpu_time_is_up())),
            (None, Some(signal)) => (Outcome::Failure, Some(because(format!("ended by {signal}"), limit()))),
            // Only this user and root can kill the helper, so it was the script or the host.
            (None, None) => {
                (Outcome::Failure, Some("the process that supervises the step was killed".to_owned()))
            }
        }
    }
}

/// A signal by its name, where it has one.
pub(super) fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.to_string())
}
