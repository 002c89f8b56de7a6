//! `bootstrap`: the same router as a Lambda function. Its configuration is `findings-router.toml` in the package, and the
//! environment.
use super::{DONE, USAGE, serve};
use crate::ends::{connect, lambda, telemetry};
use metrics_cloudwatch_embedded::Builder;
use std::{process::ExitCode, time::Duration};

/// Waiting costs money here: a message whose turn in a channel is far off comes again instead.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs until Lambda ends it.
pub fn main() -> ExitCode {
    telemetry::init_log(connect::env("FINDINGS_ROUTER_LOG").as_deref());
    let Ok(metrics) = Builder::new().cloudwatch_namespace(telemetry::NAMESPACE).init() else { return USAGE.into() };
    let config = connect::env("FINDINGS_ROUTER_CONFIG");
    let Some(setup) = serve::load(config.as_deref().map(AsRef::as_ref), None) else { return USAGE.into() };
    tracing::info!(version = crate::VERSION, "findings-router starts");
    serve::block_on(async {
        let connected = match connect::connect(setup, PATIENCE).await {
            Ok(connected) => connected,
            Err(wrong) => return serve::refuse(&wrong),
        };
        match Box::pin(lambda::run(connected, metrics)).await {
            Ok(()) => DONE,
            Err(error) => serve::refuse(&[error.to_string()]),
        }
    })
    .into()
}
