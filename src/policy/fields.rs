//! The one table of the policy's fields, from which the validator and the JSON Schema are made.

use crate::manifest::fields::name::Name;
use crate::manifest::fields::table::{MANY, MINUTES, SCOPES};
use crate::manifest::fields::words::{NETWORKS, names};
use crate::manifest::fields::{Kind, Object, field};
use crate::policy::model::{Basis, Mode, Otherwise, Verb};

/// `default`
pub const DEFAULTS: [(&str, Otherwise); 2] = [("deny", Otherwise::Deny), ("allow", Otherwise::Allow)];

/// `facts`
pub const FACTS: [(&str, Basis); 2] = [("environment", Basis::Environment), ("verified", Basis::Verified)];

/// `sandbox.mode`, from the strictest on
pub const MODES: [(&str, Mode); 3] =
    [("required", Mode::Required), ("best-effort", Mode::BestEffort), ("off", Mode::Off)];

/// `verbs`
pub const VERBS: [(&str, Verb); 5] = [
    ("run", Verb::Run),
    ("publish", Verb::Publish),
    ("reconcile", Verb::Reconcile),
    ("token", Verb::Token),
    ("exec", Verb::Exec),
];

/// The audience of a token that nobody else was meant to accept.
pub const AUDIENCE: &str = "rungate";

/// Who issues tokens to the jobs of github.com.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";

const REPOSITORY: Kind = Kind::Name(Name::Repository);
const REPOSITORIES: Kind = Kind::Either(&[REPOSITORY, Kind::List { of: &REPOSITORY, min: 1, max: MANY }]);
const GIT_REF: Kind = Kind::Name(Name::GitRef);
const REFS: Kind = Kind::List { of: &GIT_REF, min: 1, max: MANY };
const EVENTS: Kind = Kind::List { of: &Kind::Name(Name::Event), min: 1, max: 100 };
const ACTORS: Kind = Kind::List { of: &Kind::Name(Name::Actor), min: 1, max: MANY };
const COMMANDS: Kind = Kind::List { of: &Kind::Name(Name::Command), min: 1, max: 256 };
const DIGESTS: Kind = Kind::List { of: &Kind::Name(Name::Digest), min: 1, max: MANY };
const SECRETS: Kind = Kind::List { of: &Kind::Name(Name::CallersVariable), min: 0, max: 100 };
const WHAT: Kind = Kind::List { of: &Kind::Word(&names(&VERBS)), min: 1, max: VERBS.len() };
const PATHS: Kind = Kind::List { of: &Kind::Name(Name::HostPath), min: 0, max: MANY };
const REQUIRE: Kind =
    Kind::Either(&[Kind::Requirement, Kind::List { of: &Kind::Requirement, min: 1, max: 16 }]);

/// The policy.
pub static POLICY: Object = Object {
    name: "policy",
    article: Some("a"),
    doc: "What repositories may do on this host.",
    fields: &[
        field("version", Kind::Version, "Version of the policy's format.").required(),
        field("default", Kind::Word(&names(&DEFAULTS)), "What holds where no rule matches.").default("deny"),
        field("max-timeout-minutes", MINUTES, "Longest time that a run may take.").otherwise("no limit"),
        field("sandbox", Kind::Object(&SANDBOX), "How scripts are confined at the least."),
        field(
            "facts",
            Kind::Word(&names(&FACTS)),
            "Where repository, ref, event and actor are known from: the job's environment, or a token that GitHub signed.",
        )
        .default("environment"),
        field("server", Kind::Name(Name::Server), "The only GitHub server that this host works for.")
            .otherwise("the one that the job's environment names"),
        field("oidc", Kind::Object(&OIDC), "Whose tokens are accepted with `facts: verified`."),
        field("permissions", SCOPES, "The most that a token for scripts, or of `app token`, may do.")
            .otherwise("nothing"),
        field("app", Kind::Object(&APP), "The GitHub App of this host, in place of the one in the environment."),
        field(
            "secret-sources",
            Kind::Map { key: Name::CallersVariable, of: &Kind::Name(Name::SecretReference), min: 0, max: 256 },
            "Secrets of this host, by the name that manifests know them by. A rule has to give them.",
        ),
        field("allow", Kind::List { of: &Kind::Object(&RULE), min: 0, max: MANY }, "Rules. The first that matches decides."),
    ],
    open: None,
    rules: &[],
};

/// `sandbox` of a policy.
pub static SANDBOX: Object = Object {
    name: "policy-sandbox",
    article: None,
    doc: "How scripts are confined at the least. What a rule says goes before what stands at the top.",
    fields: &[
        field("require", REQUIRE, "Layers without which nothing runs, beside what a manifest requires."),
        field(
            "network",
            Kind::Word(&names(&NETWORKS)),
            "The most of the network that a manifest may ask for.",
        )
        .otherwise("`none`"),
        field("mode", Kind::Word(&names(&MODES)), "The weakest `--sandbox` that a caller may choose.")
            .otherwise("`required`"),
        field("read", PATHS, "Where paths outside of the workspace may be that scripts read.")
            .otherwise("anywhere"),
        field(
            "write",
            PATHS,
            "Where paths outside of the workspace may be that `sandbox exec` lets a program write.",
        )
        .otherwise("nowhere"),
    ],
    open: None,
    rules: &[],
};

static OIDC: Object = Object {
    name: "oidc",
    article: None,
    doc: "Whose tokens are accepted.",
    fields: &[
        field("issuer", Kind::Name(Name::Issuer), "Who issues them.").default(ISSUER),
        field("audience", Kind::Text, "For whom they are.").default(AUDIENCE),
    ],
    open: None,
    rules: &[],
};

static APP: Object = Object {
    name: "app",
    article: None,
    doc: "The GitHub App of this host.",
    fields: &[
        field("id", Kind::Name(Name::AppId), "Its client id, or its number.").required(),
        field(
            "keys",
            Kind::List { of: &Kind::Name(Name::SecretReference), min: 1, max: 16 },
            "Its private keys, in the order in which they are tried.",
        )
        .required(),
        field("installation", Kind::Integer { min: 1, max: u64::MAX }, "Its installation.")
            .otherwise("looked up"),
    ],
    open: None,
    rules: &[],
};

/// A rule.
pub static RULE: Object = Object {
    name: "rule",
    article: Some("a"),
    doc: "Admits what all of its conditions hold for.",
    fields: &[
        field("repository", REPOSITORIES, "Repositories, as `OWNER/NAME`; in the name `*` stands for anything.")
            .required(),
        field("refs", REFS, "References, or globs of them.").otherwise("all"),
        field(
            "events",
            EVENTS,
            "Events. `pull_request_target`, `workflow_run` and `issue_comment` are never meant unless they are named.",
        )
        .otherwise("all others"),
        field("actors", ACTORS, "Users, and teams as `@ORGANIZATION/TEAM`.").otherwise("everybody"),
        field("commands", COMMANDS, "Commands of the manifest.").otherwise("all"),
        field("manifest-sha256", DIGESTS, "Digests of manifests.").otherwise("any manifest"),
        field("verbs", WHAT, "What may be done: `run` is for `rungate run` and `plan`.")
            .otherwise("`[run, publish, reconcile]`"),
        field("forks", Kind::Bool, "Whether code from a fork may come with it.").default("false"),
        field("secrets", SECRETS, "Secrets that scripts may get, of this host and of the job.")
            .otherwise("those of the job, none of this host"),
        field("max-timeout-minutes", MINUTES, "Longest time that a run may take.").otherwise("the policy's"),
        field("sandbox", Kind::Object(&SANDBOX), "How scripts are confined, in place of the policy's."),
        field("permissions", SCOPES, "The most that a token may do, in place of the policy's."),
    ],
    open: None,
    rules: &[],
};
