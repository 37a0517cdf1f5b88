//! The beginning of what went into a trace and came out, for lists: of a chat, its last message.

use serde_json::Value;

use super::span::json_text;

/// Longest preview, in characters.
const LONGEST: usize = 1_000;

/// A preview of an input (`role` is `user`) or an output (`assistant`).
pub(super) fn preview(value: &Value, role: &str) -> String {
    let message = messages(value).and_then(|messages| {
        let of_role = messages.iter().rev().find(|message| message.get("role").is_some_and(|of| of == role));
        text(of_role.or_else(|| messages.last())?)
    });
    let content = message.filter(|text| !text.is_empty()).unwrap_or_else(|| json_text(value));
    let content = super::clean(&content);
    if content.chars().count() <= LONGEST {
        return content;
    }
    super::cut(&content, LONGEST - 3) + "..."
}

/// The messages of a chat completion, its answer, or the newer kind of both.
fn messages(value: &Value) -> Option<Vec<&Value>> {
    let is_message = |item: &&Value| item.get("role").is_some() && item.get("content").is_some();
    if let Some(Value::Array(messages)) = value.get("messages") {
        return Some(messages.iter().filter(is_message).collect());
    }
    if let Some(message) = value.pointer("/choices/0/message").filter(is_message) {
        return Some(vec![message]);
    }
    for name in ["input", "output"] {
        if let Some(Value::Array(items)) = value.get(name) {
            return Some(items.iter().filter(is_message).collect());
        }
    }
    messages(value.get("request")?)
}

fn text(message: &Value) -> Option<String> {
    match message.get("content")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => parts.iter().find_map(|part| match part {
            Value::String(text) => Some(text.clone()),
            part => {
                let kind = part.get("type")?.as_str()?;
                matches!(kind, "text" | "output_text")
                    .then(|| part.get("text")?.as_str().map(str::to_owned))?
            }
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_chat_is_shown_by_its_last_message() {
        let chat = json!({"messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "hello"}]},
        ]});
        assert_eq!(preview(&chat, "user"), "hello");
        assert_eq!(preview(&json!({"request": chat}), "user"), "hello");
        assert_eq!(
            preview(&json!({"choices": [{"message": {"role": "assistant", "content": "hi"}}]}), "assistant"),
            "hi"
        );
        assert_eq!(preview(&json!({"x": 1, "y": ["a"]}), "user"), "{\"x\": 1, \"y\": [\"a\"]}");
        assert_eq!(preview(&json!({"messages": []}), "user"), "{\"messages\": []}");
        let long = preview(&json!("ü".repeat(2_000)), "user");
        assert_eq!((long.chars().count(), long.ends_with("...")), (1_000, true));
    }
}
