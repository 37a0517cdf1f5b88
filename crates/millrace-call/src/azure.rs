//! Logging in at Azure's resource manager.

use reqwest::{Client, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::{Api, Auth, read_url, sent};
use crate::error::CallError;

/// The public cloud.
pub(crate) const MANAGEMENT: &str = "https://management.azure.com";
const LOGIN: &str = "https://login.microsoftonline.com";

/// How to log in at Azure: a token, or an application with its secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AzureLogin {
    /// A token of Azure's resource manager.
    token: Option<String>,
    /// Directory (tenant) id.
    tenant: Option<String>,
    /// Application (client) id.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
    /// Where tokens are given, if it is not the public cloud.
    login_url: Option<String>,
}

/// Subscription, group and what is below, as the path of a resource.
pub(crate) struct Resource<'a> {
    pub(crate) subscription: &'a str,
    pub(crate) resource_group: &'a str,
    /// Provider, type, name.
    pub(crate) of: [&'a str; 3],
}

impl<'a> Resource<'a> {
    pub(crate) fn path(&self, more: &[&'a str]) -> Vec<&'a str> {
        let [provider, kind, name] = self.of;
        let head = ["subscriptions", self.subscription, "resourceGroups", self.resource_group];
        [&head[..], &["providers", provider, kind, name], more].concat()
    }

    /// As Azure writes it.
    pub(crate) fn id(&self) -> String {
        format!("/{}", self.path(&[]).join("/"))
    }
}

impl AzureLogin {
    /// The resource manager's API, logged in.
    pub(crate) async fn api<'a>(&self, client: &'a Client, url: Option<&str>) -> Result<Api<'a>, CallError> {
        let token = match (&self.token, &self.tenant, &self.client_id, &self.client_secret) {
            (Some(token), ..) => token.clone(),
            (None, Some(tenant), Some(id), Some(secret)) => {
                let scope = format!("{}/.default", url.unwrap_or(MANAGEMENT).trim_end_matches('/'));
                self.exchange(
                    client,
                    tenant,
                    &[
                        ("grant_type", "client_credentials"),
                        ("client_id", id),
                        ("client_secret", secret),
                        ("scope", &scope),
                    ],
                )
                .await?
            }
            _ => {
                return Err(CallError::config(
                    "call-config",
                    "nobody logs in at Azure",
                    "`auth: {tenant: …, client_id: …, client_secret: \"${{ secrets.azure }}\"}`",
                ));
            }
        };
        Api::new(client, url.unwrap_or(MANAGEMENT), Auth::Bearer(token))
    }

    async fn exchange(
        &self,
        client: &Client,
        tenant: &str,
        form: &[(&str, &str)],
    ) -> Result<String, CallError> {
        let mut url = read_url(self.login_url.as_deref().unwrap_or(LOGIN))?;
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend([tenant, "oauth2", "v2.0", "token"]);
        }
        sent(client.post(url.clone()).form(form), &Method::POST, &url).await?.id("/access_token")
    }
}
