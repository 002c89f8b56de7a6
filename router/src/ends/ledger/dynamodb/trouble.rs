//! What DynamoDB's errors mean to people.
use super::table::CREATE;
use crate::act::ports::Trouble;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use std::{collections::BTreeSet, error::Error, fmt};

/// What a failed request means, and what to do.
pub(super) fn because<E, R>(table: &str, error: &SdkError<E, R>) -> Trouble
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
{
    let Some(service) = error.as_service_error() else {
        return Trouble(format!("the ledger {table} does not answer: {}", DisplayErrorContext(error)));
    };
    let said = service.message().unwrap_or("no reason was given");
    Trouble(match service.code().unwrap_or_default() {
        "ResourceNotFoundException" => {
            format!(
                "the ledger's table {table} is not there, or not whole: make it ({CREATE}), or change [ledger] table"
            )
        }
        "AccessDeniedException" | "UnrecognizedClientException" | "ExpiredTokenException" => {
            format!("the ledger's table {table} may not be used: {said}")
        }
        "ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded" => {
            format!("the ledger's table {table} is throttled; it is tried again: {said}")
        }
        "" => format!("the ledger {table} does not answer as DynamoDB does: {said}"),
        code => format!("the ledger's table {table} refuses: {code}: {said}"),
    })
}

/// What made a transaction fail that nobody else's write did.
pub(super) fn canceled(table: &str, codes: &BTreeSet<&str>) -> Trouble {
    let codes: Vec<&str> = codes.iter().copied().collect();
    Trouble(format!("the ledger's table {table} refuses a transaction, which is tried again: {}", codes.join(", ")))
}
