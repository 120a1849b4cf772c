# `just` lists the recipes. None is needed to build or test: `cargo test --locked` needs nothing but cargo.

[private]
default:
    @just --list

# Formats the Rust and the Python code
fmt:
    cargo fmt
    ruff format scripts benches tests/faults tests/install tests/peers tests/runner

# Lints everything, warnings are errors
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    ruff check scripts benches tests/faults tests/install tests/peers tests/runner
    ruff format --check scripts benches tests/faults tests/install tests/peers tests/runner
    shellcheck -x .ci/run benches/run.sh scripts/*.sh scripts/action/*.sh packaging/debian/p[or]* tests/install/*.sh tests/peers/run.sh
    typos

# Runs all tests
test:
    cargo test --locked
    python3 -m unittest discover -s scripts/python/tests
    python3 -m unittest discover -s tests/install

# Checks licences, sources and bans of the dependencies
deny:
    cargo deny --offline check bans licenses sources

# Checks the links of the documents
docs:
    scripts/python/check_markdown_links.py --format text

# Writes the JSON Schemas of manifests and policies
schema:
    cargo run --locked --quiet -- schema manifest > schemas/manifest.schema.json
    cargo run --locked --quiet -- schema policy > schemas/policy.schema.json

# Measures, and prints tables for docs/benchmarks.md
bench:
    benches/run.sh

# Everything that CI runs
ci:
    .ci/run
