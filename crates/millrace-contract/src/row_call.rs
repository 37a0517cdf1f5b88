use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Web APIs that a flow asks about its rows, by the names of their connections.
pub trait RowCalls: Send + Sync {
    /// Names of the connections that can be asked.
    ///
    /// # Errors
    /// Why they cannot be read, in words for a user.
    fn names(&self) -> Result<Vec<String>, String>;

    /// What asks one of them. Nothing is sent yet.
    ///
    /// # Errors
    /// Why it cannot be asked, in words for a user.
    fn open(&self, connection: &str) -> Result<Arc<dyn RowCaller>, String>;
}

/// Asks one web API.
#[async_trait]
pub trait RowCaller: Send + Sync {
    /// Sends a request and waits for its answer. One that fails for a reason that may pass is sent again.
    ///
    /// # Errors
    /// Why there is no answer, in words for a user. They have nothing of what opens the API.
    async fn call(&self, call: &RowCall) -> Result<RowAnswer, String>;
}

/// A request about a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowCall {
    /// How.
    pub method: CallMethod,
    /// Below the API's address, `{name}` where a value stands: `customers/{id}`.
    pub path: String,
    /// Those values, as they are: they are encoded for the address.
    pub values: Vec<(String, String)>,
    /// Parameters of the address beside those of the connection, in order.
    pub params: Vec<(String, String)>,
    /// JSON.
    pub body: Option<String>,
}

/// What an API answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowAnswer {
    /// HTTP's number: 200 to 299.
    pub status: u16,
    /// UTF-8; what is none is replaced.
    pub body: String,
}

/// How a web API is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallMethod {
    /// Reads, and changes nothing.
    #[default]
    Get,
    /// Sends something.
    Post,
    /// Puts something in the place of what is there.
    Put,
    /// Changes a part of what is there.
    Patch,
    /// Takes something away.
    Delete,
}

impl CallMethod {
    /// Whether it changes nothing, so that asking more or less often makes no difference (RFC 9110, section 9.2.1).
    pub fn is_safe(self) -> bool {
        self == Self::Get
    }

    /// As HTTP writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}
