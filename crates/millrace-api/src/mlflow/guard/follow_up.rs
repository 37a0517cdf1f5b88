//! What follows a request that was answered: who made something may manage it, and nobody finds what they may not see.

use axum::body::{Body, to_bytes};
use axum::http::{Method, header};
use axum::response::Response;
use millrace_metastore::accounts::GrantRow;
use serde_json::Value;

use super::rules::Route;
use super::{Granted, Kind, Permission, check};
use crate::accounts::Account;
use crate::app::App;
use crate::mlflow::error::MlflowError;
use crate::mlflow::wire::Fields;

/// Searches, and where in their answers the findings and their ids are.
const SEARCHES: [(&str, &str, &str); 3] = [
    ("experiments", "experiments", "experiment_id"),
    ("registered-models", "registered_models", "name"),
    ("model-versions", "model_versions", "name"),
];

pub(super) async fn done(
    app: &App,
    account: Option<&Account>,
    granted: Option<&Granted>,
    route: &Route,
    fields: &Fields,
    answer: Response,
) -> Result<Response, MlflowError> {
    if route.has_follow_up() {
        let name = fields.text("name")?.unwrap_or_default();
        let to =
            fields.text("new_name")?.filter(|_| route.is(&Method::POST, &["registered-models", "rename"]));
        for kind in [Kind::Model, Kind::Prompt] {
            app.engine.store().move_grants(kind.word().to_owned(), name.clone(), to.clone()).await?;
        }
        return Ok(answer);
    }
    let Some((account, granted)) = account.zip(granted) else { return Ok(answer) };
    for (of, list, id) in SEARCHES {
        let searched = [Method::GET, Method::POST].iter().any(|method| route.is(method, &[of, "search"]));
        if searched && granted.is_restricted() {
            return filtered(app, granted, (list, id), answer).await;
        }
    }
    let made = if route.is(&Method::POST, &["experiments", "create"]) {
        "/experiment_id"
    } else if route.is(&Method::POST, &["registered-models", "create"]) {
        "/registered_model/name"
    } else {
        return Ok(answer);
    };
    let (parts, told) = read(answer).await?;
    let object = told.pointer(made).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = match made {
        "/experiment_id" => Some(Kind::Experiment),
        _ => check::kind_of(app, &object).await?,
    };
    if let Some(kind) = kind {
        let (kind, permission) = (kind.word().to_owned(), Permission::Manage.word().to_owned());
        app.engine.store().set_grant(account.id, GrantRow { kind, object, permission }).await?;
    }
    Ok(Response::from_parts(parts, Body::from(told.to_string())))
}

async fn filtered(
    app: &App,
    granted: &Granted,
    (list, id): (&str, &str),
    answer: Response,
) -> Result<Response, MlflowError> {
    let (parts, mut told) = read(answer).await?;
    if let Some(Value::Array(found)) = told.get_mut(list) {
        if id == "experiment_id" {
            found.retain(|item| {
                let id = item.get(id).and_then(Value::as_str).unwrap_or_default();
                granted.on(Kind::Experiment, id) >= Permission::Read
            });
        } else {
            check::keep_readable(app, granted, id, found).await?;
        }
    }
    Ok(Response::from_parts(parts, Body::from(told.to_string())))
}

/// An answer of ours, which is JSON, taken apart.
async fn read(answer: Response) -> Result<(axum::http::response::Parts, Value), MlflowError> {
    let (mut parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| MlflowError::internal(&error))?;
    let told = serde_json::from_slice(&body).map_err(|error| MlflowError::internal(&error))?;
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok((parts, told))
}
