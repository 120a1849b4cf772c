//! The program: a sandbox helper when it is started as one, else the command line.

use std::process::ExitCode;

/// The static build's allocator.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    // A helper must not pay for anything else, and must have one thread when it forks.
    if let Some(code) = rungate::sandbox::init::run_if_asked(std::env::args_os()) {
        return code;
    }
    rungate::cli::main()
}
