//! The table's fields of sandboxes.

use std::time::Duration;

use crate::manifest::fields::name::Name;
use crate::manifest::fields::table::MANY;
use crate::manifest::fields::words::{NETWORKS, names};
use crate::manifest::fields::{Kind, Object, field};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

const fn size(min: u64) -> Kind {
    Kind::Size { min, max: TIB }
}

const CPU: Kind = Kind::Duration { min: Duration::from_millis(100), max: Duration::from_hours(240) };
const GRACE: Kind = Kind::Duration { min: Duration::from_millis(1), max: Duration::from_mins(5) };

/// A sandbox.
pub static SANDBOX: Object = Object {
    name: "sandbox",
    article: Some("a"),
    doc: "What scripts may reach. What is absent is inherited.",
    fields: &[
        field(
            "require",
            Kind::Either(&[Kind::Requirement, Kind::List { of: &Kind::Requirement, min: 1, max: 16 }]),
            "Layers without which nothing runs, such as `landlock`, `namespaces` or `[cgroup-memory, landlock>=6]`.",
        )
        .otherwise("`landlock`"),
        field("network", Kind::Word(&names(&NETWORKS)), "The network that scripts see.").otherwise("`none`"),
        field(
            "ports",
            Kind::List { of: &Kind::Integer { min: 1, max: 65_535 }, min: 1, max: MANY },
            "TCP ports that scripts may connect to, with `network: host`.",
        )
        .otherwise("all"),
        field("read", Kind::List { of: &Kind::AnyPath, min: 0, max: MANY }, "Further paths that scripts may read."),
        field(
            "write",
            Kind::List { of: &Kind::Path, min: 0, max: MANY },
            "Paths in the workspace that scripts may write.",
        ),
        field(
            "env",
            Kind::List { of: &Kind::Name(Name::CallersVariable), min: 0, max: MANY },
            "Variables of the caller that scripts see. Never for secrets.",
        ),
        field("unix-sockets", Kind::Bool, "Whether scripts may use Unix sockets where there are no namespaces.")
            .otherwise("`false`"),
        field("limits", Kind::Object(&LIMITS), "Limits of each step."),
    ],
    open: None,
    rules: &[],
};

static LIMITS: Object = Object {
    name: "limits",
    article: None,
    doc: "Limits of each step.",
    fields: &[
        field("memory", size(MIB), "Memory.").otherwise("2GiB"),
        field("processes", Kind::Integer { min: 1, max: 4_194_304 }, "Processes and threads.")
            .otherwise("256"),
        field("cpu", CPU, "CPU time.").otherwise("twice the timeout"),
        field("scratch", size(KIB), "Private space for temporary files.").otherwise("1GiB"),
        field("output", size(1), "Log of one output stream. Parsers see all of it.").otherwise("64MiB"),
        field("report", size(1), "One report file.").otherwise("8GiB"),
        field("artifacts", size(1), "All artifacts together.").otherwise("1GiB"),
        field("artifact-files", Kind::Integer { min: 1, max: 1_000_000 }, "Files in artifacts.")
            .otherwise("10000"),
        field("grace", GRACE, "Time between the polite signal and the next.").otherwise("3s"),
    ],
    open: None,
    rules: &[],
};
