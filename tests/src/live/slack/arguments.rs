//! The arguments of a call, from a JSON or a form body, or a query.
use super::workspace::Refusal;
use crate::live::http::Request;
use serde_json::{Map, Value, json};

/// What a call was given; forms give strings only.
#[derive(Debug, Default)]
pub(super) struct Arguments(pub(super) Map<String, Value>);

impl Arguments {
    /// Reads a request as Slack does: by its content type.
    pub(super) fn read(request: &Request) -> Result<Self, Refusal> {
        let mut all = form(request.query.as_bytes());
        let kind = request.headers.get("content-type").map_or("", |kind| kind.split(';').next().unwrap_or(kind).trim());
        match kind {
            "application/json" => match serde_json::from_slice(&request.body) {
                Ok(Value::Object(object)) => all.extend(object),
                Ok(_) => return Err("json_not_object".into()),
                Err(_) => return Err("invalid_json".into()),
            },
            "application/x-www-form-urlencoded" => all.extend(form(&request.body)),
            _ if request.body.is_empty() => {}
            "" => return Err("missing_post_type".into()),
            _ => return Err("invalid_post_type".into()),
        }
        Ok(Self(all))
    }

    /// Reads what is posted to a webhook: JSON under whatever type, or a form with `payload`.
    pub(super) fn read_hook(request: &Request) -> Option<Self> {
        let payload = form(&request.body).get("payload").and_then(Value::as_str).map(str::to_owned);
        let body = payload.map_or_else(|| request.body.clone(), String::into_bytes);
        serde_json::from_slice(&body).ok().map(Self)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<String, Refusal> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| Refusal {
            error: "invalid_arguments".to_owned(),
            more: Map::from_iter([(
                "response_metadata".to_owned(),
                json!({ "messages": [format!("[ERROR] missing required field: {name}")] }),
            )]),
        })
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text == "true" || text == "1")
    }

    /// A list or an object, which may also come as a string of JSON.
    pub(super) fn structure(&self, name: &str) -> Result<Option<Value>, ()> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| ()),
            Some(value) => Ok(Some(value.clone())),
        }
    }
}

fn form(text: &[u8]) -> Map<String, Value> {
    form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), json!(value))).collect()
}
