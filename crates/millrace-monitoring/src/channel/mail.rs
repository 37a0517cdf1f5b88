//! Mail, by SMTP with TLS.

use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use millrace_contract::network::is_private;
use std::time::Duration;

use super::Words;
use crate::rule::Mail;

/// Longest time for one step of the conversation.
const PATIENCE: Duration = Duration::from_secs(30);

/// Delivers one mail, or says why not.
pub(super) async fn send(mail: &Mail, id: &str, words: &Words) -> Result<(), String> {
    let host =
        mail.server.host_str().ok_or("the address of the mail server has no host")?.trim_matches(['[', ']']);
    let is_loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let encrypted = mail.server.scheme() == "smtps";
    let port = mail.server.port().unwrap_or(if encrypted { 465 } else { 587 });
    if !mail.allow_private {
        let mut addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| format!("cannot find the mail server `{host}`: {error}"))?;
        if addresses.any(|address| is_private(address.ip())) {
            return Err(format!("`{host}` is in a private network; `allow_private: true` allows it"));
        }
    }
    let tls =
        || TlsParameters::new(host.to_owned()).map_err(|error| format!("no TLS with `{host}`: {error}"));
    let tls = match (encrypted, is_loopback) {
        (true, _) => Tls::Wrapper(tls()?),
        // On this machine nobody listens in.
        (false, true) => Tls::Opportunistic(tls()?),
        (false, false) => Tls::Required(tls()?),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(port)
        .tls(tls)
        .timeout(Some(PATIENCE));
    if let (Some(user), Some(password)) = (&mail.user, &mail.password) {
        transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let address =
        |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}` is not an address: {error}"));
    let mut message = Message::builder()
        .from(address(&mail.from)?)
        .subject(words.subject.clone())
        .message_id(Some(format!("<{id}@millrace>")));
    for to in &mail.to {
        message = message.to(address(to)?);
    }
    let body = words.paragraphs().join("\n\n");
    let message = message.body(body).map_err(|error| format!("the mail cannot be written: {error}"))?;
    let sent = transport.build().send(message).await;
    sent.map(drop).map_err(|error| format!("`{host}` did not take the mail: {error}"))
}
