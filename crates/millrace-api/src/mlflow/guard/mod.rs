//! What accounts may reach: permissions on experiments, models and prompts, as MLflow's authentication has them.
//!
//! Every request passes here, before its handler. Administrators pass; for everybody else the request must be in one of the tables
//! ([`rules`], [`own`]), and whoever adds a route and forgets the tables has added one for administrators alone. A request is read with
//! the handlers' own [`Fields`], so that both see the same ids.

mod attempts;
mod check;
mod follow_up;
mod own;
mod rules;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use millrace_metastore::accounts::{AccountRow, GrantRow};
use serde_json::Value;

use super::error::MlflowError;
use super::wire::Fields;
use crate::access::Access;
use crate::accounts::{Account, Caller};
use crate::app::App;
use crate::step_token::AttemptName;
use attempts::OwnRun;
use rules::Route;

/// What somebody may do, each with what comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing.
    None,
    /// See it.
    Read,
    /// Use it for something of one's own.
    Use,
    /// Change it.
    Edit,
    /// Delete it and say who else may.
    Manage,
}

impl Permission {
    /// MLflow's word, in which a denial has two.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "DENY" | "NO_PERMISSIONS" => Self::None,
            "READ" => Self::Read,
            "USE" => Self::Use,
            "EDIT" => Self::Edit,
            "MANAGE" => Self::Manage,
            _ => return None,
        })
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "NO_PERMISSIONS",
            Self::Read => "READ",
            Self::Use => "USE",
            Self::Edit => "EDIT",
            Self::Manage => "MANAGE",
        }
    }
}

/// What permissions are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Experiment,
    Model,
    Prompt,
}

impl Kind {
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Experiment, Self::Model, Self::Prompt].into_iter().find(|kind| kind.word() == word)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Model => "registered_model",
            Self::Prompt => "prompt",
        }
    }
}

/// MLflow's word for all that a server has; `USE` on it makes somebody a member, `MANAGE` an administrator of roles and accounts.
pub(crate) const WORKSPACE: &str = "workspace";

/// What an account was granted, or what the program of a step may.
#[derive(Debug)]
pub(crate) struct Granted {
    is_admin: bool,
    otherwise: Permission,
    grants: Vec<GrantRow>,
    attempt: Option<OwnRun>,
}

impl Granted {
    pub(crate) async fn of(app: &App, account: &Account) -> Result<Self, MlflowError> {
        Self::read(app, account.id, account.is_admin).await
    }

    pub(crate) async fn of_row(app: &App, account: &AccountRow) -> Result<Self, MlflowError> {
        Self::read(app, account.id, account.is_admin).await
    }

    async fn read(app: &App, id: i64, is_admin: bool) -> Result<Self, MlflowError> {
        let otherwise = match &app.access {
            Access::Token { default_permission, .. } => *default_permission,
            Access::Loopback => Permission::Manage,
        };
        let grants = app.engine.store().list_held_grants(id).await?;
        Ok(Self { is_admin, otherwise, grants, attempt: None })
    }

    /// What the program of a step may: read everything, and change what it makes.
    async fn of_attempt(app: &App, attempt: &AttemptName) -> Result<Self, MlflowError> {
        let own = OwnRun::of(app, attempt).await?;
        Ok(Self { is_admin: false, otherwise: Permission::Read, grants: Vec::new(), attempt: Some(own) })
    }

    /// Of whoever may not everything.
    async fn of_caller(app: &App, caller: &Caller) -> Result<Option<Self>, MlflowError> {
        Ok(match caller {
            Caller::Account(account) if !account.is_admin => Some(Self::of(app, account).await?),
            Caller::Step(attempt) => Some(Self::of_attempt(app, attempt).await?),
            _ => None,
        })
    }

    /// The most that any grant on the object or on all of its kind gives, and at least what everybody may, as MLflow has it since roles.
    /// One denial among them denies, whatever else is granted.
    pub(crate) fn on(&self, kind: Kind, object: &str) -> Permission {
        if let Some(own) = &self.attempt {
            return own.on(kind, object);
        }
        if self.is_admin || self.manages_roles() {
            return Permission::Manage;
        }
        let granted =
            |grant: &&GrantRow| grant.kind == kind.word() && (grant.object == object || grant.object == "*");
        // A word that a newer program wrote is none that allows anything here.
        let words = self.grants.iter().filter(granted);
        let words = words.map(|grant| Permission::of(&grant.permission).unwrap_or(Permission::None));
        let words: Vec<Permission> = words.collect();
        if words.contains(&Permission::None) {
            return Permission::None;
        }
        words.into_iter().fold(self.otherwise, Permission::max)
    }

    /// Whether roles and accounts are this account's to give: it manages MLflow's workspace, of which there is one here.
    pub(crate) fn manages_roles(&self) -> bool {
        let manages = Permission::Manage.word();
        self.is_admin
            || self.grants.iter().any(|grant| grant.kind == WORKSPACE && grant.permission == manages)
    }

    /// Whether there is something that it may not see.
    fn is_restricted(&self) -> bool {
        if self.manages_roles() {
            return false;
        }
        let denies = |grant: &GrantRow| {
            Permission::of(&grant.permission).is_none_or(|permission| permission == Permission::None)
        };
        self.otherwise == Permission::None || self.grants.iter().any(denies)
    }
}

fn denied() -> MlflowError {
    MlflowError::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", "Permission denied")
}

/// Lets a request through if its caller may make it.
pub(crate) async fn pass(app: App, caller: Caller, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(caller.clone());
    let route = Route::of(request.method(), request.uri().path());
    let is_guarded = match &caller {
        Caller::Account(account) => !account.is_admin,
        Caller::Step(_) => true,
        Caller::Anybody | Caller::Operator => false,
    };
    let answer = match (route, &caller) {
        (Some(route), _) if is_guarded || route.has_follow_up() => {
            through(&app, &caller, &route, request, next).await
        }
        (None, Caller::Account(account)) if is_guarded => own::through(&app, account, request, next).await,
        (None, Caller::Step(attempt)) => Ok(attempts::through(attempt, request, next).await),
        _ => Ok(next.run(request).await),
    };
    answer.unwrap_or_else(MlflowError::into_response)
}

/// Lets a request of MLflow's API through.
async fn through(
    app: &App,
    caller: &Caller,
    route: &Route,
    request: Request,
    next: Next,
) -> Result<Response, MlflowError> {
    if matches!(caller, Caller::Step(_)) && !attempts::may_ask(route) {
        return Err(attempts::denied(&route.name()));
    }
    let granted = Granted::of_caller(app, caller).await?;
    if let Some(granted) = &granted
        && let Some(files) = route.streams()
    {
        // Bodies of files are not read here; where they lie says whose they are.
        check::file(app, granted, request.headers(), files).await?;
        return Ok(next.run(request).await);
    }
    let (request, fields) = read(app, request).await?;
    if let Some(granted) = &granted {
        check::request(app, granted, route, &fields).await?;
    }
    let answer = next.run(request).await;
    if answer.status() != StatusCode::OK {
        return Ok(answer);
    }
    let account = match caller {
        Caller::Account(account) => Some(account),
        _ => None,
    };
    follow_up::done(app, account, granted.as_ref(), route, &fields, answer).await
}

/// Reads the fields of a request and gives it back as it was.
async fn read(app: &App, request: Request) -> Result<(Request, Fields), MlflowError> {
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(whole, app)
        .await
        .map_err(|error| MlflowError::new(error.status(), "INVALID_PARAMETER_VALUE", error.body_text()))?;
    let again = || Request::from_parts(parts.clone(), Body::from(body.clone()));
    // A call of the pages without a body is one without fields.
    let is_empty = body.is_empty() && !matches!(parts.method, Method::GET | Method::HEAD);
    let fields = if is_empty { Fields::default() } else { Fields::from_request(again(), app).await? };
    Ok((again(), fields))
}

/// Checks a field of a GraphQL document like the request of the same name, and takes out of its answer what the caller may not see.
pub(super) async fn graphql(
    app: &App,
    caller: &Caller,
    (method, name): (&Method, &str),
    fields: &Fields,
) -> Result<Option<Granted>, MlflowError> {
    let Some(granted) = Granted::of_caller(app, caller).await? else { return Ok(None) };
    let route = Route::of(method, &format!("/api/2.0/mlflow/{name}")).ok_or_else(denied)?;
    check::request(app, &granted, &route, fields).await?;
    Ok(Some(granted))
}

/// Keeps what an account may see of models or of versions of them.
pub(super) async fn keep_readable(
    app: &App,
    granted: &Granted,
    found: &mut Vec<Value>,
) -> Result<(), MlflowError> {
    check::keep_readable(app, granted, "name", found).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_was_granted_decides_unless_one_denies() {
        let grant = |kind: Kind, object: &str, permission: &str| GrantRow {
            kind: kind.word().to_owned(),
            object: object.to_owned(),
            permission: permission.to_owned(),
        };
        let grants = vec![
            grant(Kind::Experiment, "*", "EDIT"),
            grant(Kind::Experiment, "7", "READ"),
            grant(Kind::Experiment, "9", "DENY"),
            grant(Kind::Experiment, "9", "MANAGE"),
            grant(Kind::Model, "a", "MANAGE"),
            grant(Kind::Model, "b", "SOMETHING_NEW"),
        ];
        let granted = Granted { is_admin: false, otherwise: Permission::Read, grants, attempt: None };
        assert_eq!(granted.on(Kind::Experiment, "7"), Permission::Edit);
        assert_eq!(granted.on(Kind::Experiment, "8"), Permission::Edit);
        assert_eq!(granted.on(Kind::Experiment, "9"), Permission::None);
        assert_eq!(granted.on(Kind::Model, "a"), Permission::Manage);
        assert_eq!(granted.on(Kind::Model, "b"), Permission::None);
        assert_eq!(granted.on(Kind::Prompt, "a"), Permission::Read);
        assert!(granted.is_restricted());
        let mut keeper = Granted {
            is_admin: false,
            otherwise: Permission::Read,
            grants: granted.grants.clone(),
            attempt: None,
        };
        let all =
            GrantRow { kind: WORKSPACE.to_owned(), object: "*".to_owned(), permission: "MANAGE".to_owned() };
        assert!(!keeper.manages_roles());
        keeper.grants.push(all);
        assert!(keeper.manages_roles());
        assert_eq!(keeper.on(Kind::Experiment, "9"), Permission::Manage);
        let admin = Granted { is_admin: true, ..granted };
        assert_eq!(admin.on(Kind::Experiment, "9"), Permission::Manage);
    }
}
