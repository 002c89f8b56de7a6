//! The command line.
use std::process::ExitCode;

fn main() -> ExitCode {
    findings_router::cli::main()
}
