//! Who acts, by name: what is recorded of a decision, a vote, a text or a run.

use axum::http::StatusCode;
use millrace_spec::access::Person;
use millrace_spec::problem::Problem;

use crate::accounts::Caller;
use crate::app::App;
use crate::error::ApiError;

/// The name of whoever has the server's own token; no account has it.
pub(crate) const OPERATOR: &str = "admin";
/// Bytes of a name.
const LONGEST_NAME: usize = 250;

/// Who acts. Where people log in, the login says so and nothing else; where nobody does, whoever they say they are.
pub(crate) fn person(app: &App, caller: &Caller, said: Option<&str>) -> Result<Person, ApiError> {
    let (name, is_admin) = match caller {
        Caller::Anybody => (said.unwrap_or(&app.local_user).to_owned(), true),
        Caller::Operator => (OPERATOR.to_owned(), true),
        Caller::Account(account) => (account.name.clone(), account.is_admin),
        Caller::Step(attempt) => {
            let message = format!("this is the program of step `{}`, and no person", attempt.step);
            let problem = Problem::error("not-a-person", message).hint("log in as whoever acts");
            return Err(ApiError::new(StatusCode::FORBIDDEN, problem));
        }
    };
    if said.is_some_and(|said| said != name) {
        let problem =
            Problem::error("not-you", format!("this login is `{name}`, so nobody else can act with it"));
        return Err(ApiError::new(StatusCode::FORBIDDEN, problem.hint("log in as whoever acts")));
    }
    if name.trim().is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
        let problem = Problem::error("invalid-name", "a name has 1 to 250 bytes");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, problem));
    }
    Ok(Person { name, is_admin })
}
