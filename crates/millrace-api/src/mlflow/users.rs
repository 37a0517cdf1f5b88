//! `users/…` of MLflow's authentication: accounts, what they were granted, and, beyond it, their tokens.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use millrace_metastore::accounts::{AccountRow, GrantRow, TokenRow};
use millrace_metastore::roles::{RoleGrantRow, RoleRow, RolesOf};
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::guard::{Granted, Kind, Permission};
use super::roles::{self, Manager};
use super::wire::Fields;
use crate::access::{Access, Proof};
use crate::accounts::{Accounts, Caller, Login, digest, new_token};
use crate::actor::OPERATOR;
use crate::app::App;
use crate::origin;
use crate::throttle::Knock;

/// Characters of a name, at most, and of a password, at least; MLflow's password rule.
const LONGEST_NAME: usize = 250;
const SHORTEST_PASSWORD: usize = 12;

pub(super) fn denied() -> MlflowError {
    MlflowError::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", "Permission denied")
}

fn no_user(name: &str) -> MlflowError {
    MlflowError::absent(format!("User with username={name} not found"))
}

/// What checks passwords; where nobody logs in, there are no users.
pub(super) fn accounts(app: &App) -> Result<&Accounts, MlflowError> {
    match &app.access {
        Access::Token { accounts, .. } => Ok(accounts),
        Access::Loopback => Err(MlflowError::new(
            StatusCode::NOT_FOUND,
            "ENDPOINT_NOT_FOUND",
            "This server asks nobody who they are, so it has no users; `millrace up --login` asks.",
        )),
    }
}

fn require_admin(app: &App, caller: &Caller) -> Result<(), MlflowError> {
    accounts(app)?;
    if caller.is_admin() { Ok(()) } else { Err(denied()) }
}

pub(super) fn is_self(caller: &Caller, name: &str) -> bool {
    matches!(caller, Caller::Account(account) if account.name == name)
}

fn require_admin_or_self(app: &App, caller: &Caller, name: &str) -> Result<(), MlflowError> {
    accounts(app)?;
    if caller.is_admin() || is_self(caller, name) { Ok(()) } else { Err(denied()) }
}

pub(super) async fn found(app: &App, name: &str) -> Result<AccountRow, MlflowError> {
    app.engine.store().find_account(name.to_owned()).await?.ok_or_else(|| no_user(name))
}

fn shown(row: &AccountRow) -> Value {
    json!({"id": row.id, "username": row.name, "is_admin": row.is_admin})
}

async fn hashed(app: &App, fields: &Fields) -> Result<String, MlflowError> {
    let password = fields.required("password")?;
    if password.chars().count() < SHORTEST_PASSWORD {
        return Err(MlflowError::invalid(format!(
            "Password must be at least {SHORTEST_PASSWORD} characters."
        )));
    }
    let hash = accounts(app)?.hash(password).await;
    hash.ok_or_else(|| MlflowError::invalid("Invalid value for parameter 'password' supplied"))
}

pub(super) async fn create(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let name = fields.required("username")?;
    // A colon ends the name in a header.
    if name.chars().count() > LONGEST_NAME || name.chars().any(|sign| sign == ':' || sign.is_control()) {
        return Err(MlflowError::invalid(format!(
            "Invalid username: at most {LONGEST_NAME} characters, without colons and control characters"
        )));
    }
    let taken = || {
        let message = format!("User (username={name}) already exists.");
        MlflowError::new(StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS", message)
    };
    if name == OPERATOR {
        return Err(taken());
    }
    let hash = hashed(&app, &fields).await?;
    let now = app.clock.now().as_microsecond();
    let made = app.engine.store().create_account(name.clone(), hash, now).await?.ok_or_else(taken)?;
    Ok(Json(json!({"user": shown(&made)})))
}

pub(super) async fn find(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let name = fields.required("username")?;
    require_admin_or_self(&app, &caller, &name)?;
    Ok(Json(json!({"user": shown(&found(&app, &name).await?)})))
}

pub(super) async fn list(State(app): State<App>, _: Manager) -> Answer {
    let store = app.engine.store();
    let all = store.list_accounts().await?;
    let roles = store.list_roles(RolesOf::Everybody).await?;
    let members = store.list_role_members(None).await?;
    let users = all.iter().map(|row| {
        let has =
            |role: &&RoleRow| members.iter().any(|member| member.account == row.id && member.role == role.id);
        let mut user = shown(row);
        user["roles"] = roles.iter().filter(has).map(roles::shown).collect();
        user
    });
    Ok(Json(json!({"users": users.collect::<Vec<_>>()})))
}

pub(super) async fn current(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer {
    accounts(&app)?;
    let user = match &caller {
        Caller::Account(account) => {
            json!({"id": account.id, "username": account.name, "is_admin": account.is_admin})
        }
        Caller::Operator | Caller::Anybody => json!({"id": 0, "username": OPERATOR, "is_admin": true}),
        Caller::Step(_) => return Err(denied()),
    };
    Ok(Json(json!({"user": user, "is_basic_auth": true})))
}

pub(super) async fn update_password(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(proof): Extension<Proof>,
    Extension(knock): Extension<Knock>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let name = fields.required("username")?;
    require_admin_or_self(&app, &caller, &name)?;
    found(&app, &name).await?;
    if is_self(&caller, &name) {
        // Whoever found a browser open must not keep the account.
        let current = fields.text("current_password")?.filter(|current| !current.is_empty());
        let current = current.ok_or_else(|| {
            MlflowError::invalid("Current password is required when changing your own password.")
        })?;
        match accounts(&app)?.by_password(app.engine.store(), &name, &current, knock).await? {
            Login::Is(_) => {}
            Login::Nobody => return Err(MlflowError::invalid("Current password does not match.")),
            Login::TooSoon(_) => {
                let (code, message) =
                    ("REQUEST_LIMIT_EXCEEDED", "Too many wrong passwords: try again in a minute.");
                return Err(MlflowError::new(StatusCode::TOO_MANY_REQUESTS, code, message));
            }
        }
        if fields.text("password")?.as_ref() == Some(&current) {
            return Err(MlflowError::invalid("New password must differ from the current password."));
        }
    }
    let hash = hashed(&app, &fields).await?;
    app.engine.store().set_account_password(name.clone(), hash.clone()).await?;
    let mut answer = Json(json!({})).into_response();
    if let (true, Access::Token { sessions, .. }) =
        (is_self(&caller, &name) && proof == Proof::Session, &app.access)
    {
        // Every session of the account has ended with the old password; the one that changed it goes on.
        let (now, is_secure) = (app.clock.now().as_second(), origin::scheme(&headers) == "https");
        let cookie = sessions.cookie(&name, &hash, now, is_secure);
        answer.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    }
    Ok(answer)
}

pub(super) async fn update_admin(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    require_admin(&app, &caller)?;
    let name = fields.required("username")?;
    let is_admin = fields.bool("is_admin")?.ok_or_else(|| fields.missing("is_admin"))?;
    if !app.engine.store().set_account_admin(name.clone(), is_admin).await? {
        return Err(no_user(&name));
    }
    Ok(Json(json!({})))
}

pub(super) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    require_admin(&app, &caller)?;
    let name = fields.required("username")?;
    if is_self(&caller, &name) {
        let message = "Users cannot delete their own account. Ask another admin to delete this user instead.";
        return Err(MlflowError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message));
    }
    if !app.engine.store().delete_account(name.clone()).await? {
        return Err(no_user(&name));
    }
    Ok(Json(json!({})))
}

/// The account that a caller's own tokens belong to.
fn own(app: &App, caller: Caller) -> Result<i64, MlflowError> {
    accounts(app)?;
    match caller {
        Caller::Account(account) => Ok(account.id),
        _ => Err(MlflowError::invalid("Tokens belong to users; log in as one of them")),
    }
}

pub(super) async fn create_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let (account, token) = (own(&app, caller)?, new_token());
    let name = fields.required("name")?;
    if name.chars().count() > LONGEST_NAME {
        let message = format!("'name' exceeds the maximum length of {LONGEST_NAME} characters");
        return Err(MlflowError::invalid(message));
    }
    let row = TokenRow { id: app.new_id(), name, created_at: app.clock.now().as_microsecond() };
    app.engine.store().create_token(account, row.clone(), digest(&token)).await?;
    // The only time that anybody sees it.
    Ok(Json(json!({"id": row.id, "name": row.name, "token": token})))
}

pub(super) async fn list_tokens(State(app): State<App>, Extension(caller): Extension<Caller>) -> Answer {
    let token =
        |row: &TokenRow| json!({"id": row.id, "name": row.name, "creation_time": row.created_at / 1000});
    let all = app.engine.store().list_tokens(own(&app, caller)?).await?;
    Ok(Json(json!({"tokens": all.iter().map(token).collect::<Vec<_>>()})))
}

pub(super) async fn delete_token(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    if !app.engine.store().delete_token(own(&app, caller)?, id.clone()).await? {
        return Err(MlflowError::absent(format!("Token with ID '{id}' not found.")));
    }
    Ok(Json(json!({})))
}

/// What a request about permissions is about.
async fn object(app: &App, fields: &Fields) -> Result<(Kind, String), MlflowError> {
    let word = fields.required("resource_type")?;
    let kind = Kind::of(&word).ok_or_else(|| {
        MlflowError::invalid(format!(
            "Invalid resource type '{word}'. Valid resource types are: ('experiment', 'prompt', 'registered_model')"
        ))
    })?;
    let id = fields.required("resource_id")?;
    if kind == Kind::Experiment && id != "*" {
        // However it is written, it is one number.
        let number = super::experiments::number_of(&id)?;
        app.engine.store().find_experiment(number).await?;
        return Ok((kind, number.to_string()));
    }
    Ok((kind, id))
}

/// Who may grant something: administrators, and who may manage it.
async fn require_manager(app: &App, caller: &Caller, (kind, id): &(Kind, String)) -> Result<(), MlflowError> {
    accounts(app)?;
    let manages = match caller {
        Caller::Account(account) if !account.is_admin => {
            id != "*" && Granted::of(app, account).await?.on(*kind, id) >= Permission::Manage
        }
        caller => caller.is_admin(),
    };
    if manages { Ok(()) } else { Err(denied()) }
}

pub(super) async fn grant(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let object = object(&app, &fields).await?;
    require_manager(&app, &caller, &object).await?;
    let word = fields.required("permission")?;
    // `NO_PERMISSIONS` is what older clients call a denial.
    let permission = Permission::of(&word).ok_or_else(|| {
        MlflowError::invalid(format!(
            "Invalid permission '{word}'. Valid permissions are: ('READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS', 'DENY')"
        ))
    })?;
    let user = found(&app, &fields.required("username")?).await?;
    let (kind, object) = (object.0.word().to_owned(), object.1);
    let grant = GrantRow { kind, object, permission: permission.word().to_owned() };
    app.engine.store().set_grant(user.id, grant).await?;
    Ok(Json(json!({})))
}

pub(super) async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let object = object(&app, &fields).await?;
    require_manager(&app, &caller, &object).await?;
    let user = found(&app, &fields.required("username")?).await?;
    let (kind, id) = (object.0.word().to_owned(), object.1);
    if !app.engine.store().remove_grant(user.id, kind.clone(), id.clone()).await? {
        return Err(MlflowError::absent(format!("'{}' was granted nothing on {kind} '{id}'", user.name)));
    }
    Ok(Json(json!({})))
}

pub(super) async fn find_permission(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let name = fields.required("username")?;
    require_admin_or_self(&app, &caller, &name)?;
    let user = found(&app, &name).await?;
    let (kind, id) = object(&app, &fields).await?;
    let granted = Granted::of_row(&app, &user).await?;
    let permission = granted.on(kind, &id);
    Ok(Json(json!({"allowed": permission >= Permission::Use, "permission": permission.word()})))
}

async fn permissions(app: &App, user: &AccountRow) -> Answer {
    let grants = app.engine.store().list_grants(user.id).await?;
    let shown = |grant: &GrantRow| {
        json!({
            "role_id": user.id,
            "role_name": format!("__user_{}__", user.id),
            "workspace": "default",
            "resource_type": grant.kind,
            "resource_pattern": grant.object,
            "permission": grant.permission,
        })
    };
    let of_role = |role: &RoleRow| {
        let shown = |row: &RoleGrantRow| {
            json!({
                "role_id": role.id,
                "role_name": role.name,
                "workspace": "default",
                "resource_type": row.grant.kind,
                "resource_pattern": row.grant.object,
                "permission": row.grant.permission,
            })
        };
        role.grants.iter().map(shown).collect::<Vec<Value>>()
    };
    let roles = app.engine.store().list_roles(RolesOf::Account(user.id)).await?;
    let mut permissions: Vec<Value> = grants.iter().map(shown).collect();
    permissions.extend(roles.iter().flat_map(of_role));
    Ok(Json(json!({"is_admin": user.is_admin, "permissions": permissions})))
}

pub(super) async fn list_permissions(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let name = fields.required("username")?;
    require_admin_or_self(&app, &caller, &name)?;
    permissions(&app, &found(&app, &name).await?).await
}

pub(super) async fn current_permissions(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    accounts(&app)?;
    match caller {
        Caller::Account(account) => permissions(&app, &found(&app, &account.name).await?).await,
        caller if caller.is_admin() => Ok(Json(json!({"is_admin": true, "permissions": []}))),
        _ => Err(denied()),
    }
}
