//! `roles/…` of MLflow's authentication: permissions under a name, and who has them.
//!
//! A role belongs to a workspace; as with a server of MLflow's that has none enabled, the only one here is `default`. What can be granted
//! is what is guarded: experiments, models, prompts, and the workspace itself, whose `MANAGE` lets somebody administer roles.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Extension, Json};
use millrace_metastore::accounts::{AccountRow, GrantRow};
use millrace_metastore::roles::{RoleGrantRow, RoleMemberRow, RoleRow, RolesOf};
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::guard::{Granted, Kind, WORKSPACE};
use super::users::{accounts, denied, found, is_self};
use super::wire::Fields;
use crate::accounts::Caller;
use crate::app::App;

/// The only workspace.
const DEFAULT: &str = "default";
/// Characters of a name, at most.
const LONGEST_NAME: usize = 255;
/// Characters of a description, at most.
const LONGEST_DESCRIPTION: usize = 1_024;

fn no_role(id: i64) -> MlflowError {
    MlflowError::absent(format!("Role with id={id} not found"))
}

fn no_role_permission(id: i64) -> MlflowError {
    MlflowError::absent(format!("Role permission with id={id} not found"))
}

fn exists(message: String) -> MlflowError {
    MlflowError::new(StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS", message)
}

/// Whoever administers roles and accounts: administrators, and who manages the workspace. Nobody else gets to a handler that takes it.
pub(super) struct Manager;

/// Whoever has any role, beside [`Manager`]s.
pub(super) struct Member;

async fn manages(app: &App, caller: Option<&Caller>) -> Result<bool, MlflowError> {
    Ok(match caller {
        Some(Caller::Account(account)) => Granted::of(app, account).await?.manages_roles(),
        Some(caller) => caller.is_admin(),
        None => false,
    })
}

impl FromRequestParts<App> for Manager {
    type Rejection = MlflowError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, MlflowError> {
        accounts(app)?;
        if manages(app, head.extensions.get()).await? { Ok(Self) } else { Err(denied()) }
    }
}

impl FromRequestParts<App> for Member {
    type Rejection = MlflowError;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, MlflowError> {
        if let Some(Caller::Account(account)) = head.extensions.get()
            && !app.engine.store().list_roles(RolesOf::Account(account.id)).await?.is_empty()
        {
            return Ok(Self);
        }
        Manager::from_request_parts(head, app).await.map(|_| Self)
    }
}

fn shown_permission(row: &RoleGrantRow) -> Value {
    json!({
        "id": row.id,
        "role_id": row.role,
        "resource_type": row.grant.kind,
        "resource_pattern": row.grant.object,
        "permission": row.grant.permission,
    })
}

pub(super) fn shown(role: &RoleRow) -> Value {
    json!({
        "id": role.id,
        "name": role.name,
        "workspace": DEFAULT,
        "description": role.description,
        "permissions": role.grants.iter().map(shown_permission).collect::<Vec<_>>(),
    })
}

fn shown_member(row: RoleMemberRow) -> Value {
    json!({"id": row.id, "user_id": row.account, "role_id": row.role})
}

fn number(fields: &Fields, name: &str) -> Result<i64, MlflowError> {
    fields.int(name)?.ok_or_else(|| fields.missing(name))
}

/// A name that a role may have.
fn role_name(name: String) -> Result<String, MlflowError> {
    if name.trim().is_empty() {
        return Err(MlflowError::invalid("Role name cannot be empty."));
    }
    if name.chars().count() > LONGEST_NAME || name.contains('\0') {
        return Err(MlflowError::invalid(format!("Role names have at most {LONGEST_NAME} characters.")));
    }
    // What an account was granted itself is shown as a role of such a name.
    if name.starts_with("__user_") && name.ends_with("__") {
        return Err(MlflowError::invalid(format!("Role name '{name}' is reserved.")));
    }
    Ok(name)
}

fn description(fields: &Fields) -> Result<Option<String>, MlflowError> {
    let text = fields.text("description")?;
    if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION || text.contains('\0')) {
        let message = format!("Role descriptions have at most {LONGEST_DESCRIPTION} characters.");
        return Err(MlflowError::invalid(message));
    }
    Ok(text)
}

/// Refuses a workspace that is not here.
fn check_workspace(word: &str) -> Result<(), MlflowError> {
    if word.trim().is_empty() {
        return Err(MlflowError::invalid("Workspace cannot be empty."));
    }
    if word != DEFAULT {
        let message =
            format!("Workspace '{word}' does not exist: a server is one workspace, named '{DEFAULT}'");
        return Err(MlflowError::absent(message));
    }
    Ok(())
}

async fn role(app: &App, fields: &Fields) -> Result<RoleRow, MlflowError> {
    let id = number(fields, "role_id")?;
    app.engine.store().find_role(id).await?.ok_or_else(|| no_role(id))
}

/// Checks a permission's word for what it is on.
fn permission(kind: &str, word: &str) -> Result<String, MlflowError> {
    let allowed: &[&str] =
        if kind == WORKSPACE { &["MANAGE", "USE"] } else { &["DENY", "EDIT", "MANAGE", "READ", "USE"] };
    if allowed.contains(&word) {
        return Ok(word.to_owned());
    }
    let of = if kind == WORKSPACE { "Workspace-wide grants" } else { "Resource-level grants" };
    let allowed = allowed.join("', '");
    Err(MlflowError::invalid(format!(
        "Invalid permission '{word}' for resource_type='{kind}'. {of} accept only: ('{allowed}')."
    )))
}

/// What a request wants to grant, checked.
fn wanted_grant(fields: &Fields) -> Result<GrantRow, MlflowError> {
    let kind = fields.required("resource_type")?;
    if kind != WORKSPACE && Kind::of(&kind).is_none() {
        return Err(MlflowError::invalid(format!(
            "Invalid resource type '{kind}'. Valid resource types are: ('experiment', 'prompt', 'registered_model', 'workspace')"
        )));
    }
    let object = fields.required("resource_pattern")?;
    if kind == WORKSPACE && object != "*" {
        return Err(MlflowError::invalid(format!(
            "Invalid resource_pattern '{object}' for resource_type='{WORKSPACE}'. This resource type supports only wildcard ('*') grants."
        )));
    }
    let permission = permission(&kind, &fields.required("permission")?)?;
    Ok(GrantRow { kind, object, permission })
}

pub(super) async fn create(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let name = role_name(fields.required("name")?)?;
    check_workspace(&fields.required("workspace")?)?;
    let made = app.engine.store().create_role(name.clone(), description(&fields)?).await?;
    let made =
        made.ok_or_else(|| exists(format!("Role (name={name}, workspace={DEFAULT}) already exists.")))?;
    Ok(Json(json!({"role": shown(&made)})))
}

pub(super) async fn find(State(app): State<App>, _: Member, fields: Fields) -> Answer {
    Ok(Json(json!({"role": shown(&role(&app, &fields).await?)})))
}

pub(super) async fn list(State(app): State<App>, _: Member, fields: Fields) -> Answer {
    let workspaces = fields.texts("workspace")?;
    if workspaces.iter().any(|workspace| workspace.trim().is_empty()) {
        let message = "Parameter 'workspace' must be a non-empty string when provided.";
        return Err(MlflowError::invalid(message));
    }
    let is_here = workspaces.is_empty() || workspaces.iter().any(|workspace| workspace == DEFAULT);
    let roles = if is_here { app.engine.store().list_roles(RolesOf::Everybody).await? } else { Vec::new() };
    Ok(Json(json!({"roles": roles.iter().map(shown).collect::<Vec<_>>()})))
}

pub(super) async fn update(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let id = number(&fields, "role_id")?;
    let name = fields.text("name")?.map(role_name).transpose()?;
    let description = description(&fields)?;
    if name.is_none() && description.is_none() {
        let message = "At least one of 'name' or 'description' must be provided to update a role.";
        return Err(MlflowError::invalid(message));
    }
    match app.engine.store().update_role(id, name.clone(), description).await? {
        Some(true) => Ok(Json(json!({"role": shown(&role(&app, &fields).await?)}))),
        Some(false) => {
            let name = name.unwrap_or_default();
            Err(exists(format!("Role with name={name} already exists in workspace={DEFAULT}")))
        }
        None => Err(no_role(id)),
    }
}

pub(super) async fn delete(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let id = number(&fields, "role_id")?;
    if app.engine.store().delete_role(id).await? { Ok(Json(json!({}))) } else { Err(no_role(id)) }
}

pub(super) async fn add_permission(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let id = number(&fields, "role_id")?;
    let grant = wanted_grant(&fields)?;
    role(&app, &fields).await?;
    let already = exists(format!(
        "Role permission (role_id={id}, resource_type={}, resource_pattern={}) already exists.",
        grant.kind, grant.object
    ));
    let made = app.engine.store().add_role_grant(id, grant).await?.ok_or(already)?;
    Ok(Json(json!({"role_permission": shown_permission(&made)})))
}

pub(super) async fn remove_permission(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let id = number(&fields, "role_permission_id")?;
    let removed = app.engine.store().remove_role_grant(id).await?;
    if removed { Ok(Json(json!({}))) } else { Err(no_role_permission(id)) }
}

pub(super) async fn list_permissions(State(app): State<App>, _: Member, fields: Fields) -> Answer {
    let role = role(&app, &fields).await?;
    let permissions: Vec<Value> = role.grants.iter().map(shown_permission).collect();
    Ok(Json(json!({"role_permissions": permissions})))
}

pub(super) async fn update_permission(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let id = number(&fields, "role_permission_id")?;
    let word = fields.required("permission")?;
    let store = app.engine.store();
    let mut row = store.find_role_grant(id).await?.ok_or_else(|| no_role_permission(id))?;
    row.grant.permission = permission(&row.grant.kind, &word)?;
    if !store.update_role_grant(id, row.grant.permission.clone()).await? {
        return Err(no_role_permission(id));
    }
    Ok(Json(json!({"role_permission": shown_permission(&row)})))
}

/// The account and the role that a request names.
async fn member(app: &App, fields: &Fields) -> Result<(AccountRow, RoleRow), MlflowError> {
    let account = found(app, &fields.required("username")?).await?;
    Ok((account, role(app, fields).await?))
}

pub(super) async fn assign(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let (account, role) = member(&app, &fields).await?;
    let already = || {
        let (user, role) = (account.id, role.id);
        exists(format!("User role assignment (user_id={user}, role_id={role}) already exists"))
    };
    let made = app.engine.store().assign_role(account.id, role.id).await?.ok_or_else(already)?;
    Ok(Json(json!({"assignment": shown_member(made)})))
}

pub(super) async fn unassign(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let (account, role) = member(&app, &fields).await?;
    if app.engine.store().unassign_role(account.id, role.id).await? {
        return Ok(Json(json!({})));
    }
    Err(MlflowError::absent(format!(
        "User role assignment (user_id={}, role_id={}) not found",
        account.id, role.id
    )))
}

pub(super) async fn list_of_user(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    fields: Fields,
) -> Answer {
    let name = fields.required("username")?;
    accounts(&app)?;
    if !is_self(&caller, &name) && !manages(&app, Some(&caller)).await? {
        return Err(denied());
    }
    let account = found(&app, &name).await?;
    let roles = app.engine.store().list_roles(RolesOf::Account(account.id)).await?;
    Ok(Json(json!({"roles": roles.iter().map(shown).collect::<Vec<_>>()})))
}

pub(super) async fn list_members(State(app): State<App>, _: Manager, fields: Fields) -> Answer {
    let role = role(&app, &fields).await?;
    let members = app.engine.store().list_role_members(Some(role.id)).await?;
    Ok(Json(json!({"assignments": members.into_iter().map(shown_member).collect::<Vec<_>>()})))
}
