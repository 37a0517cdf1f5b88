//! Who calls, and how browsers sign in.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
pub struct SessionView {
    /// Whether this server asks for a login.
    pub needs_login: bool,
    /// The login's name; where nobody logs in, the user whom the server runs as.
    pub name: String,
    /// Whether everything is allowed.
    pub is_admin: bool,
    /// Whether roles and accounts are theirs to give.
    pub manages_accounts: bool,
    /// Whether a browser signed in here, and can sign out.
    pub signed_in: bool,
}

/// Who signs in.
#[derive(Clone, Serialize, Deserialize, ToSchema, TS)]
pub struct SignIn {
    /// Name of the account; `admin` with the server's own token.
    pub name: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SignIn").field("name", &self.name).finish_non_exhaustive()
    }
}
