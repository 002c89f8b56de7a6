//! How the router gets into the account of a resource: by a role that it assumes there, or, where none is configured, only
//! into its own.
use super::answer::{miss_of, plain};
use crate::{act::ports::Miss, decide::config::Access, decide::rails::fill};
use aws_config::{Region, SdkConfig, sts::AssumeRoleProvider};
use aws_sdk_ssm::Client;
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use tokio::sync::OnceCell;

/// What CloudTrail shows as the session's name.
const SESSION: &str = "findings-router";

/// The clients of every account and Region that was entered.
#[derive(Debug)]
pub(super) struct Doors {
    config: SdkConfig,
    role: Option<String>,
    external_id: Option<SecretString>,
    clients: Mutex<HashMap<(String, String), Client>>,
    /// The router's own account.
    own: OnceCell<String>,
}

impl Doors {
    pub(super) fn new(config: SdkConfig, access: &Access, external_id: Option<SecretString>) -> Self {
        Self { config, role: access.role.clone(), external_id, clients: Mutex::default(), own: OnceCell::new() }
    }

    /// A client for this account and Region; never for another.
    pub(super) async fn open(&self, account: &str, region: &str) -> Result<Client, Miss> {
        let place = (account.to_owned(), region.to_owned());
        let clients = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients().get(&place) {
            return Ok(client.clone());
        }
        let region = Region::new(region.to_owned());
        let here = self.config.to_builder().region(region.clone());
        let config = if let Some(role) = &self.role {
            let role = fill(role, account, &place.1, "");
            // The credentials end up in the account of the role, whatever else is configured.
            if role.split(':').nth(4) != Some(account) {
                return Err(Miss::Failed(format!(
                    "remediation.role is a role of another account than {account}: write {{account}} in it"
                )));
            }
            let provider = AssumeRoleProvider::builder(role).session_name(SESSION).region(region);
            let provider = match &self.external_id {
                Some(id) => provider.external_id(id.expose_secret()),
                None => provider,
            };
            let provider = Box::pin(provider.configure(&self.config).build()).await;
            here.credentials_provider(aws_sdk_ssm::config::SharedCredentialsProvider::new(provider)).build()
        } else {
            let own = self.own().await?;
            if own != account {
                return Err(Miss::Failed(format!(
                    "the resource is in account {account}, the router in {own}: set remediation.role to the role to assume there"
                )));
            }
            here.build()
        };
        let client = Client::new(&config);
        clients().insert(place, client.clone());
        Ok(client)
    }

    async fn own(&self) -> Result<&str, Miss> {
        let asked = self.own.get_or_try_init(|| async {
            let who = Box::pin(aws_sdk_sts::Client::new(&self.config).get_caller_identity().send()).await;
            let who = who.map_err(|error| plain("GetCallerIdentity", &error))?;
            who.account.ok_or_else(|| miss_of("GetCallerIdentity", "STS's answer names no account"))
        });
        asked.await.map(String::as_str)
    }
}
