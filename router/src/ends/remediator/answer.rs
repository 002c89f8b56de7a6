//! What SSM's and STS's refusals mean: whether trying again helps, and what somebody should mend.
use crate::{
    act::ports::Miss,
    values::{action::Later, remediation::Job},
};
use aws_sdk_ssm::{
    config::http::HttpResponse,
    error::{ConnectorError, DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use jiff::SignedDuration;
use std::error::Error;

/// What became of a call that gave no answer to use.
const SOON: SignedDuration = SignedDuration::from_secs(5);
/// The account's quotas of executions fill and empty in minutes.
const FULL: SignedDuration = SignedDuration::from_mins(2);

/// Why a call to SSM about a job came to nothing.
pub(super) fn miss<E>(call: &str, job: &Job, error: &SdkError<E, HttpResponse>) -> Miss
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.code().unwrap_or_default();
    let said = error.message().unwrap_or_default();
    let place = format!("{}/{}", job.account, job.region);
    let failed = |why: String| Miss::Failed(why);
    let later = |after, unsure, why: String| Miss::Later(Later { after, why, unsure });
    match code {
        "AutomationDefinitionNotFoundException"
        | "AutomationDefinitionVersionNotFoundException"
        | "InvalidDocument" => {
            failed(format!("there is no document {} in {place}: deploy it there, or share it ({code})", job.runbook))
        }
        "InvalidAutomationExecutionParametersException" | "InvalidParameters" => failed(format!(
            "{} does not take these parameters: {said} ({code}); mend the playbook, or the role it names",
            job.runbook
        )),
        "InvalidTarget" => failed(format!("{} was given a target that there is not: {said}", job.runbook)),
        "AutomationExecutionNotFoundException" => {
            failed(format!("{place} knows nothing of this execution; its history is kept for 30 days"))
        }
        "AutomationExecutionLimitExceededException" => {
            later(FULL, false, format!("{place} runs as many executions as it may ({code})"))
        }
        "ThrottlingException" | "Throttling" | "RateExceeded" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            later(SOON, false, format!("SSM wants fewer calls in {place} ({code})"))
        }
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => failed(format!(
            "{call} is not allowed in {place}: the router's role there needs ssm:{call}, and to start a runbook iam:PassRole on its role ({said})"
        )),
        "ExpiredTokenException" | "ExpiredToken" => {
            later(SOON, false, format!("the credentials have expired ({code})"))
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidSignatureException" | "OptInRequired" => {
            failed(format!("AWS does not accept the router's credentials in {place}: {said} ({code})"))
        }
        _ => plain(call, error),
    }
}

/// Where the code says nothing special: what was sent may have been done, what was refused was not.
pub(super) fn plain<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Miss
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map(|r| r.status().as_u16());
    let text = DisplayErrorContext(error).to_string();
    let text = crate::values::text::cut(&text, 300).to_owned();
    match error {
        SdkError::ConstructionFailure(_) => Miss::Failed(format!("{call} could not be sent: {text}")),
        SdkError::DispatchFailure(_) if role_refused(&text) => Miss::Failed(format!(
            "{call} was not sent: the role in that account cannot be assumed (AssumeRole: AccessDenied); check remediation.role, its trust policy and its external id"
        )),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            Miss::Failed(format!("{call} could not be sent: {text}"))
        }
        SdkError::DispatchFailure(failure) => {
            let unsure = !failure.as_connector_error().is_some_and(ConnectorError::is_user);
            Miss::Later(Later { after: SOON, why: format!("{call} did not get through: {text}"), unsure })
        }
        _ if status.is_some_and(|s| (400..500).contains(&s) && s != 408 && s != 429) => {
            Miss::Failed(format!("SSM refuses {call}: {text}"))
        }
        _ => Miss::Later(Later { after: SOON, why: format!("{call} gave no answer: {text}"), unsure: true }),
    }
}

/// The SDK asks STS for credentials while it sends; that a role may not be assumed does not pass.
fn role_refused(text: &str) -> bool {
    text.contains("AccessDenied")
}

/// A call whose answer cannot be used.
pub(super) fn miss_of(call: &str, why: &str) -> Miss {
    Miss::Later(Later { after: SOON, why: format!("{call}: {why}"), unsure: true })
}
