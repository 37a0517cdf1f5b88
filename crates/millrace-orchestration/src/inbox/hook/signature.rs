//! Who may be believed: HMAC-SHA256 over the body, compared in constant time; a signed time may differ by five minutes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use millrace_spec::secret::SecretText;
use millrace_spec::triggers::event::{Sender, Webhook};
use sha2::Sha256;

use super::{HookRefusal, HookRequest};

/// Seconds that a signed time may lie in the past or the future.
const WINDOW: i64 = 300;
const ABSENT: HookRefusal = HookRefusal::Signature("the request is not signed");
const WRONG: HookRefusal = HookRefusal::Signature("the signature does not fit the secret of the trigger");

pub(super) fn check(
    webhook: &Webhook,
    secret: &SecretText,
    request: &HookRequest,
    now: Timestamp,
) -> Result<(), HookRefusal> {
    let key = secret.reveal().as_bytes();
    match webhook.webhook {
        Sender::Github => {
            let given = request.header("x-hub-signature-256").ok_or(ABSENT)?;
            fits(key, &[&request.body], &hexadecimal(given.strip_prefix("sha256=").unwrap_or(given))?)
        }
        // GitLab and Azure DevOps send the secret itself, over TLS.
        Sender::Gitlab => same(key, request.header("x-gitlab-token").ok_or(ABSENT)?.as_bytes()),
        Sender::AzureDevops => {
            let basic = request
                .header("authorization")
                .and_then(|value| value.strip_prefix("Basic "))
                .ok_or(ABSENT)?;
            let pair = STANDARD.decode(basic).map_err(|_| WRONG)?;
            let at = pair.iter().position(|byte| *byte == b':').ok_or(WRONG)?;
            same(key, pair.get(at + 1..).unwrap_or_default())
        }
        Sender::Hmac | Sender::Cloudevents => match &webhook.signature_header {
            Some(name) => signed(key, request, request.header(&name.to_lowercase()).ok_or(ABSENT)?, now),
            None if request.header("webhook-signature").is_some() => standard(secret.reveal(), request, now),
            None => signed(key, request, request.header("x-signature").ok_or(ABSENT)?, now),
        },
    }
}

/// Standard Webhooks: `webhook-signature: v1,BASE64 …` over id, time and body.
fn standard(secret: &str, request: &HookRequest, now: Timestamp) -> Result<(), HookRefusal> {
    let id = request.header("webhook-id").ok_or(ABSENT)?;
    let time = request.header("webhook-timestamp").ok_or(ABSENT)?;
    within_window(time, now)?;
    let decoded = secret.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    let signed = format!("{id}.{time}.");
    let given = request.header("webhook-signature").unwrap_or_default();
    // A sender that changes its secret signs with both for a while.
    let candidates = given.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    let fits = candidates.map(|signature| fits(key, &[signed.as_bytes(), &request.body], &signature));
    if fits.fold(false, |found, fits| found | fits.is_ok()) { Ok(()) } else { Err(WRONG) }
}

/// `sha256=HEX` or `HEX` over the body, or `t=SECONDS,v1=HEX` over time and body.
fn signed(key: &[u8], request: &HookRequest, given: &str, now: Timestamp) -> Result<(), HookRefusal> {
    let part =
        |name: &str| given.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    match (part("t"), part("v1")) {
        (Some(time), Some(signature)) => {
            within_window(time, now)?;
            fits(key, &[time.as_bytes(), b".", &request.body], &hexadecimal(signature)?)
        }
        _ => fits(key, &[&request.body], &hexadecimal(given.strip_prefix("sha256=").unwrap_or(given))?),
    }
}

fn within_window(time: &str, now: Timestamp) -> Result<(), HookRefusal> {
    let time: i64 = time
        .parse()
        .map_err(|_| HookRefusal::Signature("the time of the signature is no number of seconds"))?;
    let distance = now.as_second().saturating_sub(time);
    if distance.saturating_abs() > WINDOW { Err(HookRefusal::Clock(distance)) } else { Ok(()) }
}

fn hexadecimal(text: &str) -> Result<Vec<u8>, HookRefusal> {
    hex::decode(text).map_err(|_| HookRefusal::Signature("the signature is not hexadecimal"))
}

/// Whether a signature is that of the parts; takes as long whichever bytes differ.
fn fits(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> Result<(), HookRefusal> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| WRONG)?;
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(signature).map_err(|_| WRONG)
}

/// Whether two texts are the same, compared by their signatures so that neither length nor place of a difference shows.
fn same(expected: &[u8], given: &[u8]) -> Result<(), HookRefusal> {
    let mut mac = Hmac::<Sha256>::new_from_slice(expected).map_err(|_| WRONG)?;
    mac.update(expected);
    fits(expected, &[given], &mac.finalize().into_bytes())
}
