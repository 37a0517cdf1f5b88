//! What people fill in when they approve.

use indexmap::IndexMap;
use millrace_metastore::approvals::ApprovalRefusal;
use millrace_spec::pipeline::InputSpec;
use serde_json::Value;

use crate::inputs::coerce;

/// Values of a form, from what one fills in now and what somebody filled in before.
///
/// Who approves after the first approves the same values: nobody's yes may come to stand for others.
///
/// # Errors
/// [`ApprovalRefusal::Form`] for the first field that is unknown, missing, ill-typed, not allowed, or another than before.
pub(super) fn fill(
    form: &IndexMap<String, InputSpec>,
    given: &IndexMap<String, Value>,
    before: Option<&IndexMap<String, Value>>,
) -> Result<IndexMap<String, Value>, ApprovalRefusal> {
    if let Some(unknown) = given.keys().find(|name| !form.contains_key(*name)) {
        let known: Vec<&str> = form.keys().map(String::as_str).collect();
        let hint = match known.is_empty() {
            true => "there is nothing to fill in".to_owned(),
            false => format!("its fields are {}", known.join(", ")),
        };
        return Err(refusal(format!("the form has no field `{unknown}`"), hint));
    }
    let mut values = IndexMap::new();
    for (name, spec) in form {
        let earlier = before.and_then(|before| before.get(name)).cloned();
        let Some(value) =
            given.get(name).cloned().or_else(|| earlier.clone()).or_else(|| spec.default.clone())
        else {
            let message = format!("the field `{name}` of the form is not filled in");
            return Err(refusal(message, format!("millrace approve … --form {name}=…")));
        };
        let value = coerce(&spec.type_name, value).map_err(|found| {
            let message = format!("the field `{name}` of the form is {}, not {found}", spec.type_name);
            refusal(message, format!("--form {name}=…"))
        })?;
        if let Some(allowed) = spec.allowed.as_ref().filter(|allowed| !allowed.contains(&value)) {
            let list: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            let message = format!("the field `{name}` of the form may not be {value}");
            return Err(refusal(message, format!("allowed are {}", list.join(", "))));
        }
        if let Some(earlier) = earlier.filter(|earlier| *earlier != value) {
            let message = format!("somebody approved it with `{name}` {earlier}, not {value}");
            return Err(refusal(message, "approve it as it is, or reject it".to_owned()));
        }
        values.insert(name.clone(), value);
    }
    Ok(values)
}

fn refusal(message: String, hint: String) -> ApprovalRefusal {
    ApprovalRefusal::Form { message, hint }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(given: Value, before: Option<Value>) -> Result<Value, String> {
        let form: IndexMap<String, InputSpec> = serde_json::from_value(json!({
            "traffic": {"type": "integer", "default": 10, "enum": [10, 50]},
            "ticket": {"type": "string"},
        }))
        .unwrap();
        let map = |value: Value| serde_json::from_value::<IndexMap<String, Value>>(value).unwrap();
        let before = before.map(map);
        match fill(&form, &map(given), before.as_ref()) {
            Ok(values) => Ok(json!(values)),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    #[test]
    fn a_form_is_filled_in_once() {
        assert_eq!(said(json!({"ticket": "A-1"}), None), Ok(json!({"traffic": 10, "ticket": "A-1"})));
        let filled = Some(json!({"traffic": 50, "ticket": "A-1"}));
        assert_eq!(said(json!({}), filled.clone()), Ok(json!({"traffic": 50, "ticket": "A-1"})));
        assert_eq!(
            said(json!({"traffic": "50"}), filled.clone()),
            Ok(json!({"traffic": 50, "ticket": "A-1"}))
        );
        let refused = |given: Value, before| said(given, before).unwrap_err();
        assert_eq!(refused(json!({"traffic": 10}), filled), "somebody approved it with `traffic` 50, not 10");
        assert_eq!(refused(json!({}), None), "the field `ticket` of the form is not filled in");
        assert_eq!(
            refused(json!({"ticket": "A", "traffic": 20}), None),
            "the field `traffic` of the form may not be 20"
        );
        assert_eq!(refused(json!({"tickets": "A"}), None), "the form has no field `tickets`");
    }
}
