//! Who asks.

use indexmap::IndexMap;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

use super::super::settings::Hidden;

/// So long before its end a token counts as over.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token counts whose server does not say how long it does.
const USUAL_LIFE: Duration = Duration::from_secs(300);

/// What opens a web API.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Auth {
    /// Nothing: anybody may ask.
    #[default]
    None,
    /// A user and a password.
    Basic(Basic),
    /// A bearer token, usually `${{ secrets.… }}`.
    Bearer(Hidden),
    /// A key in a header or in a parameter of the address.
    ApiKey(ApiKey),
    /// A token that another server gives for an id and a secret (OAuth 2, client credentials); asked for anew before it ends.
    Oauth2(Oauth2),
}

/// A user and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basic {
    /// Who asks.
    user: String,
    /// Usually `${{ secrets.… }}`.
    password: Hidden,
}

/// A key of an API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKey {
    /// The header that it stands in.
    #[serde(default)]
    header: Option<String>,
    /// The parameter of the address that it stands in.
    #[serde(default)]
    param: Option<String>,
    /// Usually `${{ secrets.… }}`.
    value: Hidden,
}

/// Who gets a token, and where.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oauth2 {
    /// Address that gives the token.
    token_url: Url,
    /// Id of the client.
    client_id: String,
    /// Its secret, usually `${{ secrets.… }}`.
    client_secret: Hidden,
    /// What the token is to be good for.
    #[serde(default)]
    scope: Option<String>,
    /// Further parameters of the request for the token: `audience`, `resource`.
    #[serde(default)]
    params: IndexMap<String, String>,
    /// Where id and secret stand.
    #[serde(default)]
    send: SendSecret,
}

/// Where a client's id and secret stand in the request for a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SendSecret {
    /// In the header `Authorization`, as the standard prefers.
    #[default]
    Header,
    /// In the form.
    Body,
}

impl Auth {
    /// What no type says.
    pub(super) fn check(&self, allow_http: bool) -> Result<(), String> {
        match self {
            Self::ApiKey(ApiKey { header: Some(header), param: None, value }) => {
                let fits = HeaderName::try_from(header.as_str()).is_ok()
                    && HeaderValue::try_from(value.0.as_str()).is_ok();
                if fits {
                    Ok(())
                } else {
                    Err(format!("`auth`: `{header}` cannot be a header with that value"))
                }
            }
            Self::ApiKey(ApiKey { header: None, param: Some(_), .. }) => Ok(()),
            Self::ApiKey(_) => Err("`auth`: `api_key` has either `header` or `param`".to_owned()),
            Self::Oauth2(oauth) => match oauth.token_url.scheme() {
                "https" => Ok(()),
                "http" if allow_http => Ok(()),
                "http" => {
                    Err("`auth`: its token_url is `http://`, which needs `allow_http: true`".to_owned())
                }
                _ => Err("`auth`: `token_url` begins with `https://`".to_owned()),
            },
            Self::None | Self::Basic(_) | Self::Bearer(_) => Ok(()),
        }
    }

    /// Whether something is sent that others must not see.
    pub(super) fn opens(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// What no message may show.
    pub(super) fn secrets(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Basic(Basic { password, .. }) => vec![password.0.clone()],
            Self::Bearer(token) => vec![token.0.clone()],
            Self::ApiKey(key) => vec![key.value.0.clone()],
            Self::Oauth2(oauth) => vec![oauth.client_secret.0.clone()],
        }
    }
}

/// Puts into requests what opens the API.
pub(super) struct Opener {
    auth: Auth,
    client: Client,
    token: tokio::sync::Mutex<Option<Token>>,
}

struct Token {
    value: String,
    until: Instant,
}

/// What a token server answers, as far as it matters: <https://www.rfc-editor.org/rfc/rfc6749#section-5.1>.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Opener {
    pub(super) fn new(auth: Auth, client: Client) -> Self {
        Self { auth, client, token: tokio::sync::Mutex::default() }
    }

    /// Whether another try with a token of its own may help after a refusal.
    pub(super) fn can_renew(&self) -> bool {
        matches!(self.auth, Auth::Oauth2(_))
    }

    /// Forgets the token.
    pub(super) async fn renew(&self) {
        *self.token.lock().await = None;
    }

    /// The request with what opens the API, its parameters already in `url`.
    pub(super) async fn open(&self, request: RequestBuilder) -> Result<RequestBuilder, NoToken> {
        Ok(match &self.auth {
            Auth::None => request,
            Auth::Basic(Basic { user, password }) => request.basic_auth(user, Some(&password.0)),
            Auth::Bearer(token) => request.bearer_auth(&token.0),
            Auth::ApiKey(key) => match &key.header {
                Some(header) => request.header(header, &key.value.0),
                None => request,
            },
            Auth::Oauth2(oauth) => request.bearer_auth(self.token(oauth).await?),
        })
    }

    /// The parameter that opens the API, if it is one.
    pub(super) fn parameter(&self) -> Option<(&str, &str)> {
        match &self.auth {
            Auth::ApiKey(ApiKey { param: Some(name), value, .. }) => Some((name, &value.0)),
            _ => None,
        }
    }

    async fn token(&self, oauth: &Oauth2) -> Result<String, NoToken> {
        let mut token = self.token.lock().await;
        if let Some(known) = token.as_ref().filter(|known| known.until > Instant::now()) {
            return Ok(known.value.clone());
        }
        let asked = Instant::now();
        let given = given(&self.client, oauth).await?;
        let life = given.expires_in.map_or(USUAL_LIFE, Duration::from_secs);
        let until =
            asked.checked_add(life.saturating_sub(MARGIN).max(Duration::from_secs(1))).unwrap_or(asked);
        *token = Some(Token { value: given.access_token.clone(), until });
        Ok(given.access_token)
    }
}

/// Why there is no token.
pub(super) enum NoToken {
    /// The request did not get through.
    Away(reqwest::Error),
    /// The server says no, with this status and in these words.
    Refused(reqwest::StatusCode, String),
    /// What it answers is no token.
    Strange,
}

async fn given(client: &Client, oauth: &Oauth2) -> Result<Given, NoToken> {
    let mut form: Vec<(&str, &str)> = vec![("grant_type", "client_credentials")];
    form.extend(oauth.scope.as_deref().map(|scope| ("scope", scope)));
    form.extend(oauth.params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut request = client.post(oauth.token_url.clone()).header("accept", "application/json");
    match oauth.send {
        SendSecret::Header => {
            // Both are encoded as in a form before they are joined: RFC 6749, section 2.3.1.
            let encoded =
                |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encoded(&oauth.client_id), Some(encoded(&oauth.client_secret.0)));
        }
        SendSecret::Body => {
            form.extend([("client_id", oauth.client_id.as_str()), ("client_secret", &oauth.client_secret.0)]);
        }
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let answer = request.send().await.map_err(NoToken::Away)?;
    let status = answer.status();
    let text = answer.text().await.map_err(NoToken::Away)?;
    if !status.is_success() {
        return Err(NoToken::Refused(status, text));
    }
    serde_json::from_str(&text).map_err(|_| NoToken::Strange)
}
