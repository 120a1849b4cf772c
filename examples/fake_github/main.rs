//! Starts the fake GitHub of the tests by hand, to try rungate without GitHub. docs/fake-github.md says how.
//!
//! It prints one line of JSON: where it is, and what an App needs to call it.

#[path = "../../tests/fake/mod.rs"]
#[expect(dead_code, clippy::panic, reason = "by hand only the door is used; tests use every room")]
mod fake;

use std::convert::Infallible;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use fake::Fake;
use fake::world::{Host, Settings, TokenFormat};

/// A GitHub that forgets everything when it ends.
#[derive(Parser)]
struct Args {
    /// Port on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Which kind of host it plays
    #[arg(long, value_enum, default_value_t = Plays::Dotcom)]
    host: Plays,
    /// Short for --host ghes
    #[arg(long)]
    ghes: bool,
    /// Mint tokens of the classic form
    #[arg(long)]
    classic_tokens: bool,
    /// Seconds by which its clock is ahead
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    clock_skew: i64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Plays {
    Dotcom,
    GheCom,
    Ghes,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let settings = Settings {
        host: match args.host {
            _ if args.ghes => Host::Ghes,
            Plays::Dotcom => Host::Dotcom,
            Plays::GheCom => Host::GheCom,
            Plays::Ghes => Host::Ghes,
        },
        clock_skew: args.clock_skew,
        token_format: if args.classic_tokens { TokenFormat::Classic } else { TokenFormat::Stateless },
        ..Settings::default()
    };
    let Err(error) = run(settings, args.port);
    // Nothing is left to say when even this cannot be written.
    let _ = writeln!(std::io::stderr(), "fake_github: {error}");
    ExitCode::FAILURE
}

fn run(settings: Settings, port: u16) -> std::io::Result<Infallible> {
    let fake = Fake::with(settings, port)?;
    let mut introduction = fake.world().introduction();
    let key = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys/app.pem");
    introduction["private_key_file"] = key.to_string_lossy().into();
    writeln!(std::io::stdout(), "{introduction}")?;
    std::io::stdout().flush()?;
    loop {
        // A signal ends it.
        std::thread::park();
    }
}
