//! A look at a queue, without receiving: what `check --aws` proves of it, and where a drill got stuck.
use aws_sdk_sqs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    types::QueueAttributeName,
};
use std::{collections::HashMap, error::Error, fmt};

/// What a queue says of itself.
#[derive(Debug)]
pub struct Queue {
    /// Its ARN, which names account and Region.
    pub arn: String,
    /// Messages that wait to be received.
    pub waiting: u64,
    /// Messages that a consumer has.
    pub in_flight: u64,
    /// Messages that are not shown yet.
    pub delayed: u64,
    /// How it is encrypted, in words.
    pub encryption: String,
    /// Where messages go that are received too often.
    pub dead_letters: Option<DeadLetters>,
}

/// A dead-letter queue.
#[derive(Debug)]
pub struct DeadLetters {
    /// Its ARN.
    pub arn: String,
    /// A message that was received so often goes there.
    pub receives_max: u64,
    /// How many are there, or why that is not known.
    pub depth: Result<u64, String>,
}

type Attributes = HashMap<QueueAttributeName, String>;

/// Asks a queue, and its dead-letter queue. The error says what to do.
pub async fn look(client: &Client, url: &str) -> Result<Queue, String> {
    let attributes = attributes(client, url).await?;
    let text = |name| attributes.get(&name).cloned().unwrap_or_default();
    let dead_letters = match redrive(&text(QueueAttributeName::RedrivePolicy)) {
        None => None,
        Some((arn, receives_max)) => Some(DeadLetters { depth: depth(client, &arn).await, arn, receives_max }),
    };
    let key = text(QueueAttributeName::KmsMasterKeyId);
    Ok(Queue {
        arn: text(QueueAttributeName::QueueArn),
        waiting: number(&attributes, &QueueAttributeName::ApproximateNumberOfMessages),
        in_flight: number(&attributes, &QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        delayed: number(&attributes, &QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        encryption: match (key.as_str(), text(QueueAttributeName::SqsManagedSseEnabled).as_str()) {
            ("", "true") => "encrypted with SQS's own key".to_owned(),
            ("", _) => "not encrypted".to_owned(),
            (key, _) => format!("encrypted with the KMS key {key}"),
        },
        dead_letters,
    })
}

async fn attributes(client: &Client, url: &str) -> Result<Attributes, String> {
    let request = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let answer = request.send().await.map_err(|e| because(url, &e))?;
    Ok(answer.attributes.unwrap_or_default())
}

fn number(attributes: &Attributes, name: &QueueAttributeName) -> u64 {
    attributes.get(name).and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// `{"deadLetterTargetArn":"arn:…","maxReceiveCount":10}`; the count may be a text.
fn redrive(policy: &str) -> Option<(String, u64)> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = &policy["maxReceiveCount"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    Some((policy["deadLetterTargetArn"].as_str()?.to_owned(), count))
}

async fn depth(client: &Client, arn: &str) -> Result<u64, String> {
    let (owner, name) = owner_and_name(arn);
    let request = client.get_queue_url().queue_name(name).queue_owner_aws_account_id(owner);
    let url = request.send().await.map_err(|e| because(arn, &e))?.queue_url.unwrap_or_default();
    Ok(number(&attributes(client, &url).await?, &QueueAttributeName::ApproximateNumberOfMessages))
}

/// The account and the name in a queue's ARN.
fn owner_and_name(arn: &str) -> (&str, &str) {
    let mut parts = arn.rsplitn(3, ':');
    let name = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default(), name)
}

/// What a failed request means, and what to do.
pub fn because<E, R>(queue: &str, error: &SdkError<E, R>) -> String
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
{
    let Some(service) = error.as_service_error() else {
        let why = DisplayErrorContext(error);
        return format!("the queue {queue} does not answer: {why}; check the network, the Region and AWS_ENDPOINT_URL");
    };
    let said = service.message().unwrap_or("no reason was given");
    match service.code().unwrap_or_default() {
        code if code.contains("NonExistentQueue") || code.contains("QueueDoesNotExist") => {
            format!("the queue {queue} is not there: check its URL (account, Region, name), or make it")
        }
        code if code.contains("AccessDenied") => format!(
            "the queue {queue} may not be used: {said}; the router's role needs sqs:ReceiveMessage, DeleteMessage, \
             ChangeMessageVisibility and GetQueueAttributes, and kms:Decrypt on the queue's key"
        ),
        code => format!("the queue {queue} refuses: {code}: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_read() {
        let arn = "arn:aws:sqs:eu-west-1:111122223333:findings-dlq";
        for count in ["10", "\"10\""] {
            let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#);
            assert_eq!(redrive(&policy), Some((arn.to_owned(), 10)), "{policy}");
        }
        for none in ["", "{}", r#"{"maxReceiveCount":3}"#] {
            assert_eq!(redrive(none), None, "{none}");
        }
        assert_eq!(owner_and_name(arn), ("111122223333", "findings-dlq"));
    }
}
