//! Who calls, and how browsers sign in and out.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use millrace_spec::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Access, Proof};
use crate::accounts::{Account, Caller, Login};
use crate::actor::{OPERATOR, person};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::mlflow::guard::Granted;
use crate::throttle::Knock;
use crate::views::sessions::{SessionView, SignIn};
use crate::{origin, session};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find_session)).routes(routes!(sign_in)).routes(routes!(sign_out))
}

async fn view(app: &App, caller: &Caller, proof: Proof) -> Result<SessionView, ApiError> {
    let manages_accounts = match (&app.access, caller) {
        (Access::Loopback, _) => false,
        (_, Caller::Account(account)) => Granted::of(app, account).await?.manages_roles(),
        (_, caller) => caller.is_admin(),
    };
    let person = person(app, caller, None)?;
    Ok(SessionView {
        needs_login: !matches!(app.access, Access::Loopback),
        name: person.name,
        is_admin: person.is_admin,
        manages_accounts,
        signed_in: proof == Proof::Session,
    })
}

/// Tells who calls, and whether one has to say so.
#[utoipa::path(get, path = "/api/session", responses((status = 200, body = SessionView)))]
async fn find_session(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(proof): Extension<Proof>,
) -> ApiResult<SessionView> {
    Ok(Json(view(&app, &caller, proof).await?))
}

/// Signs a browser in: it is given a cookie, which changes things from this server's own pages only.
#[utoipa::path(post, path = "/api/login", request_body = SignIn, responses((status = 200, body = SessionView)))]
async fn sign_in(
    State(app): State<App>,
    Extension(knock): Extension<Knock>,
    headers: HeaderMap,
    body: Result<Json<SignIn>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(SignIn { name, password }) = body?;
    let Access::Token { accounts, sessions, .. } = &app.access else {
        let problem = Problem::error("no-login", "this server asks nobody who they are");
        return Err(problem.hint("millrace up --login").into());
    };
    let (caller, proof) = if name == OPERATOR && app.access.is_token(&password) {
        (Caller::Operator, String::new())
    } else {
        match accounts.by_password_alone(app.engine.store(), &name, &password, knock).await? {
            Login::Is(row) => {
                let proof = row.password_hash.clone();
                (Caller::Account(Account::from(row)), proof)
            }
            Login::TooSoon(wait) => return Err(ApiError::too_soon(wait)),
            Login::Nobody => {
                let problem = Problem::error("wrong-login", "no account has this name and this password");
                // Not a 401, which would ask the page to sign in.
                return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
            }
        }
    };
    let (now, is_secure) = (app.clock.now().as_second(), origin::scheme(&headers) == "https");
    let mut response = Json(view(&app, &caller, Proof::Session).await?).into_response();
    if let Some(cookie) = sessions.cookie(&name, &proof, now, is_secure) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Signs a browser out.
#[utoipa::path(post, path = "/api/logout", responses((status = 204)))]
async fn sign_out(headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = session::ended(origin::scheme(&headers) == "https") {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
