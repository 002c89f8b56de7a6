//! Secrets, fetched from where references say they are. What goes wrong names the reference, and never a secret.
use super::connect::Aws;
use crate::decide::config::Reference;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, SdkError};
use secrecy::SecretString;

/// Fetches one.
pub async fn resolve(
    reference: &Reference,
    aws: &Aws,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<SecretString, String> {
    let text = match reference {
        Reference::Env(name) => env(name).ok_or_else(|| format!("the environment variable {name} is not set"))?,
        Reference::SecretsManager(id, key) => from_secrets_manager(id, key.as_deref(), aws).await?,
        Reference::Ssm(name) => from_parameter_store(name, aws).await?,
    };
    let text = text.trim();
    if text.is_empty() { Err(format!("{reference} is empty")) } else { Ok(SecretString::from(text)) }
}

async fn from_secrets_manager(id: &str, key: Option<&str>, aws: &Aws) -> Result<String, String> {
    let client = aws_sdk_secretsmanager::Client::new(aws.config().await);
    let answer = client.get_secret_value().secret_id(id).send().await.map_err(|e| refused("secretsmanager", id, &e))?;
    let text = answer.secret_string().ok_or_else(|| format!("the secret {id} is binary, not text"))?;
    let Some(key) = key else { return Ok(text.to_owned()) };
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| format!("the secret {id} is not JSON, so it has no key {key:?}"))?;
    json.get(key)
        .and_then(|v| v.as_str())
        .map(str::to_owned)
        .ok_or_else(|| format!("the secret {id} has no key {key:?}"))
}

async fn from_parameter_store(name: &str, aws: &Aws) -> Result<String, String> {
    let client = aws_sdk_ssm::Client::new(aws.config().await);
    let answer = client.get_parameter().name(name).with_decryption(true).send().await;
    let answer = answer.map_err(|e| refused("ssm", name, &e))?;
    let value = answer.parameter().and_then(|p| p.value()).map(str::to_owned);
    value.ok_or_else(|| format!("the parameter {name} has no value"))
}

fn refused<E: std::error::Error + 'static, R: std::fmt::Debug>(
    service: &str,
    name: &str,
    error: &SdkError<E, R>,
) -> String {
    let action = if service == "ssm" { "ssm:GetParameter" } else { "secretsmanager:GetSecretValue" };
    format!(
        "{service}:{name} cannot be read: {}; check its name and Region, and that the router's role may do {action} (and kms:Decrypt on its key)",
        DisplayErrorContext(error)
    )
}
