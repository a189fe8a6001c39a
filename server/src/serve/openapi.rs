//! The description of every route (OpenAPI 3.1), made from the table that the router is made from.

use axum::Json;
use hauspost_protocol::wire::TOKEN_HEADER;
use serde_json::{Value, json};

use super::routes::{Access, Form, Route, table};

/// GET: the description.
pub async fn openapi() -> Json<Value> {
    Json(describe(&table()))
}

fn describe(routes: &[Route]) -> Value {
    let mut paths = serde_json::Map::new();
    for route in routes {
        let operations = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        operations[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hauspost",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Bodies are the deterministic CBOR of docs/protocol.md §1; the shapes \
                are those of hauspost_protocol::wire, by name. A refusal has a status and a word \
                in text/plain, never content.",
        },
        "paths": paths,
        "components": { "securitySchemes": {
            "session": { "type": "apiKey", "in": "header", "name": TOKEN_HEADER,
                "description": "The token of /v1/session, base64url without padding" },
            "founding": { "type": "apiKey", "in": "header", "name": TOKEN_HEADER,
                "description": "The content of the file founding-token in the data folder" },
        } },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "responses": {
            "200": { "description": "Done", "content": content(route.answer) },
            "4XX": { "description": "Refused", "content": content(Form::Text("text/plain")) },
            "503": { "description": "Later", "content": content(Form::Text("text/plain")) },
        },
        "security": match route.access {
            Access::Open => json!([]),
            Access::FoundingToken => json!([{ "founding": [] }]),
            Access::Session => json!([{ "session": [] }]),
        },
    });
    let parameters: Vec<Value> = parameters(&route.path)
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if route.request != Form::Nothing {
        operation["requestBody"] = json!({
            "required": true,
            "description": format!("At most {} bytes", route.body_bytes),
            "content": content(route.request),
        });
    }
    operation
}

fn content(form: Form) -> Value {
    let (media_type, title) = match form {
        Form::Nothing => return json!({}),
        Form::Cbor(shape) => (hauspost_protocol::wire::MEDIA_TYPE, shape),
        Form::Text(kind) | Form::Bytes(kind) => (kind, kind),
    };
    json!({ media_type: { "schema": { "title": title } } })
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
