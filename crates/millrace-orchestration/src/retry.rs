//! Whether a failed attempt is tried again, and when: a pure function of the rule, the failure and how often it was tried.

use millrace_spec::expression;
use millrace_spec::pipeline::{Retry, RetryOn};
use millrace_spec::problem::Problem;
use serde_json::json;

/// How an attempt failed, as far as a rule may ask.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failure {
    /// Whether it may pass by itself.
    pub transient: bool,
    /// Whether it ran into its timeout.
    pub timed_out: bool,
    /// Exit code of its program; 128 and a signal's number if one ended it.
    pub exit_code: Option<i32>,
    /// Its problem's code.
    pub code: String,
    /// Its problem's message.
    pub message: String,
}

/// When the attempt after `attempts` failed ones is due (microseconds since 1970), or `None` if there is none.
///
/// Wait = `delay · backoff^(attempts − 1)`, at most `max_delay`, made longer or shorter by up to the share `jitter`, which `seed` decides.
///
/// # Errors
/// If the rule's condition cannot be evaluated.
pub fn next_retry(
    retry: &Retry,
    failure: &Failure,
    attempts: u32,
    now: i64,
    seed: &str,
) -> Result<Option<i64>, Problem> {
    if attempts > retry.max || !fits(retry, failure) || !holds(retry, failure, attempts)? {
        return Ok(None);
    }
    let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
    let wait_ms =
        (retry.delay_ms as f64 * retry.backoff.max(1.0).powi(exponent)).min(retry.max_delay_ms as f64);
    let shift = 1.0 + retry.jitter.clamp(0.0, 1.0) * (2.0 * share(&format!("{seed}/{attempts}")) - 1.0);
    Ok(Some(now.saturating_add((wait_ms * shift * 1_000.0) as i64)))
}

fn fits(retry: &Retry, failure: &Failure) -> bool {
    retry.errors.is_empty()
        || retry.errors.iter().any(|wanted| match wanted {
            RetryOn::Transient => failure.transient,
            RetryOn::Timeout => failure.timed_out,
            RetryOn::Exit(code) => failure.exit_code == Some(*code),
            RetryOn::Code(code) => failure.code == *code,
        })
}

fn holds(retry: &Retry, failure: &Failure, attempts: u32) -> Result<bool, Problem> {
    let Some(condition) = &retry.condition else { return Ok(true) };
    let context = json!({
        "attempt": attempts,
        "error": {
            "code": failure.code,
            "message": failure.message,
            "exit_code": failure.exit_code,
            "transient": failure.transient,
            "timed_out": failure.timed_out,
        },
    });
    let status = expression::RunStatus { succeeded: false, failed: true, any_succeeded: false };
    expression::evaluate_condition(condition, &context, status).map_err(|error| {
        Problem::error("condition-failed", format!("`if` of `retry` cannot be evaluated: {error}"))
            .note(failure.message.clone())
            .hint(format!("mend `retry: {{if: {condition}}}`"))
    })
}

/// A number in [0, 1) that depends on the text alone: the same attempt waits as long after a restart.
fn share(text: &str) -> f64 {
    let hash = blake3::hash(text.as_bytes());
    let first: [u8; 4] = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    f64::from(u32::from_le_bytes(first)) / f64::from(u32::MAX).next_up()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(retry: &Retry, failure: &Failure, attempts: u32) -> bool {
        next_retry(retry, failure, attempts, 0, "run/step").unwrap().is_some()
    }

    #[test]
    fn a_rule_names_the_failures_that_are_tried_again() {
        let only = |errors: Vec<RetryOn>| Retry { max: 2, errors, ..Retry::default() };
        let killed = Failure { exit_code: Some(137), ..Failure::default() };
        let slow = Failure { timed_out: true, ..Failure::default() };
        let away = Failure { transient: true, code: "store-failed".to_owned(), ..Failure::default() };
        assert!(again(&only(Vec::new()), &killed, 1) && !again(&only(Vec::new()), &killed, 3));
        let rule = only(vec![RetryOn::Transient, RetryOn::Exit(137)]);
        assert!(again(&rule, &killed, 1) && again(&rule, &away, 2) && !again(&rule, &slow, 1));
        assert!(again(&only(vec![RetryOn::Timeout]), &slow, 1));
        assert!(again(&only(vec![RetryOn::Code("store-failed".to_owned())]), &away, 1));
    }

    #[test]
    fn a_condition_sees_the_failure() {
        let rule = |text: &str| Retry { max: 9, condition: Some(text.to_owned()), ..Retry::default() };
        let failure =
            Failure { message: "CUDA out of memory".to_owned(), exit_code: Some(1), ..Failure::default() };
        assert!(again(&rule("'out of memory' in error.message and attempt < 3"), &failure, 2));
        assert!(!again(&rule("'out of memory' in error.message and attempt < 3"), &failure, 3));
        let broken = next_retry(&rule("error.cod == 1"), &failure, 1, 0, "").unwrap_err();
        assert!(broken.message.contains("did you mean `code`"), "{}", broken.message);
    }

    proptest! {
        #[test]
        fn waits_grow_to_their_limit_and_jitter_stays_in_its_share(
            delay_ms in 1_u64..10_000, backoff in 1.0_f64..4.0, jitter in 0.0_f64..1.0, attempts in 1_u32..20, seed in "[a-z]{1,8}",
        ) {
            let retry = Retry { max: 20, delay_ms, backoff, jitter, max_delay_ms: 60_000, ..Retry::default() };
            let wait = next_retry(&retry, &Failure::default(), attempts, 0, &seed).unwrap().unwrap() as f64 / 1_000.0;
            let plain = (delay_ms as f64 * backoff.powi(attempts as i32 - 1)).min(60_000.0);
            prop_assert!(wait >= plain * (1.0 - jitter) - 1.0 && wait <= plain * (1.0 + jitter) + 1.0, "{} of {}", wait, plain);
        }
    }
}
