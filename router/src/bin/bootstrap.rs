//! The Lambda function `bootstrap`: SQS batches in, cards out; a function URL for Slack's clicks.
use findings_router::cli::lambda;
use std::process::ExitCode;

fn main() -> ExitCode {
    lambda::main()
}
