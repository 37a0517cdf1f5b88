//! The bodies that incoming webhooks of chats take.

use serde_json::{Value, json};

use super::Words;

/// For Slack's incoming webhooks, and Mattermost's and Rocket.Chat's, which take the same (mrkdwn).
pub(super) fn slack(words: &Words) -> String {
    // Slack's three characters that must be written otherwise.
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut lines = vec![format!("*{}*", escape(&words.subject))];
    lines.extend(Some(escape(&words.text)).filter(|text| !text.is_empty()));
    lines.extend(words.link.as_ref().map(|link| format!("<{link}|Open>")));
    json!({"text": lines.join("\n")}).to_string()
}

/// For a workflow of Microsoft Teams that posts what a webhook brings: an Adaptive Card.
pub(super) fn teams(words: &Words) -> String {
    let block =
        |text: &str, weight: &str| json!({"type": "TextBlock", "text": text, "weight": weight, "wrap": true});
    let mut blocks = vec![block(&words.subject, "bolder")];
    if !words.text.is_empty() {
        blocks.push(block(&words.text, "default"));
    }
    let actions: Vec<Value> = words
        .link
        .iter()
        .map(|link| json!({"type": "Action.OpenUrl", "title": "Open", "url": link}))
        .collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": blocks, "actions": actions,
    });
    let attachment = json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [attachment]}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_get_what_they_take() {
        let words = Words {
            subject: "approval: churn@3 <new>".to_owned(),
            text: "AUC 0.91".to_owned(),
            link: Some("https://ml.example/approvals/1".to_owned()),
        };
        let slack: Value = serde_json::from_str(&slack(&words)).unwrap();
        assert_eq!(
            slack["text"],
            "*approval: churn@3 &lt;new&gt;*\nAUC 0.91\n<https://ml.example/approvals/1|Open>"
        );
        let teams: Value = serde_json::from_str(&teams(&words)).unwrap();
        let card = &teams["attachments"][0]["content"];
        assert_eq!(card["body"][0]["text"], "approval: churn@3 <new>");
        assert_eq!(card["actions"][0]["url"], "https://ml.example/approvals/1");
    }
}
