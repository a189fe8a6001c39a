//! Hostile bytes at every route, and the description of the routes.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use hauspost_protocol::ids::LogId;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use super::world::{ADMIN, World};
use crate::serve::routes::{Access, Form, table};

/// Each route with parameters that are well-formed.
fn filled(path: &str) -> String {
    let hash = "00".repeat(32);
    path.replace("{log}", &LogId([1; 16]).to_string())
        .replace("{hash}", &hash)
        .replace("{root}", &hash)
        .replace("{opening}", "1")
        .replace("{chunk}", "0")
        .replace("{gen}", "0")
        .replace("{epoch}", "1")
}

#[tokio::test]
async fn random_truncated_and_deep_bodies_are_refused_at_every_route_without_a_500() {
    let world = World::founded().await;
    let phone = world.phone(1).await;
    let tokens = [phone.token.clone(), world.role(ADMIN).await];
    let mut rng = StdRng::seed_from_u64(7);
    for route in table().iter().filter(|route| route.request != Form::Nothing) {
        let (method, path) = (route.method.to_uppercase(), filled(&route.path));
        let mut bodies = vec![
            vec![],
            vec![0xff; 10],
            vec![0x81; 64],
            vec![0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            vec![0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ];
        for _ in 0..40 {
            let mut body = vec![0; rng.random_range(0..200)];
            rng.fill_bytes(&mut body);
            if let Some(first) = body.first_mut() {
                *first = 0x80 | (*first & 7);
            }
            bodies.push(body);
        }
        for token in &tokens {
            for body in &bodies {
                let (status, answer) = world.raw(&method, &path, Some(token), body.clone()).await;
                let refused = status.is_client_error();
                // A body that is right by chance, such as `[]`, may be served.
                assert!(refused || status.is_success(), "{} {status} {body:02x?}", route.path);
                assert!(!refused || answer.len() < 64, "{}", route.path);
            }
        }
    }
}

#[tokio::test]
async fn a_body_above_its_routes_limit_is_refused_as_too_large() {
    let world = World::founded().await;
    let phone = world.phone(1).await;
    for route in table().iter().filter(|route| route.request != Form::Nothing) {
        let (method, path) = (route.method.to_uppercase(), filled(&route.path));
        let body = vec![0x80; route.body_bytes + 1];
        let (status, _) = world.raw(&method, &path, Some(&phone.token), body).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{}", route.path);
    }
}

#[tokio::test]
async fn parameters_of_a_wrong_form_are_refused() {
    let world = World::founded().await;
    let phone = world.phone(1).await;
    let (log, root) = (LogId([1; 16]), "00".repeat(32));
    let (chunk, hash) = (format!("/v1/blob/{log}/{root}/-1"), format!("/v1/blob/{log}/0/0"));
    for path in [
        &*chunk,
        &hash,
        "/v1/blob/x/y/0",
        "/v1/tree/x/y",
        "/v1/groupinfo/x/0/0",
        "/v1/groupinfo/x/70000/-1",
    ] {
        let (status, _) = world.raw("GET", path, Some(&phone.token), vec![]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
    let far = format!("/v1/groupinfo/{}/65535/{}", log, u64::MAX);
    let (status, _) = world.raw("GET", &far, Some(&phone.token), vec![]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_a_session_every_route_that_needs_one_says_so() {
    let world = World::founded().await;
    for route in table().iter().filter(|route| route.access == Access::Session) {
        let method = route.method.to_uppercase();
        for token in [None, Some(""), Some("AAAA"), Some("~")] {
            let (status, _) = world.raw(&method, &filled(&route.path), token, vec![0x80]).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", route.path);
        }
    }
}

#[tokio::test]
async fn the_description_lists_exactly_the_routes_that_there_are() {
    let world = World::founded().await;
    let (status, body) = world.raw("GET", "/openapi.json", None, vec![]).await;
    assert_eq!(status, StatusCode::OK);
    let described: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let mut listed = BTreeSet::new();
    for (path, operations) in described["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            listed.insert((method.clone(), path.clone()));
            let (status, _) = world.raw(&method.to_uppercase(), &filled(path), None, vec![]).await;
            let there = status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED;
            assert!(there, "{method} {path} {status}");
        }
    }
    let routes = table().into_iter().map(|route| (route.method.to_owned(), route.path));
    assert_eq!(listed, routes.collect());
    let (status, body) = world.raw("GET", "/v1/nothing", None, vec![]).await;
    assert_eq!((status, &body[..]), (StatusCode::NOT_FOUND, &b"not_found"[..]));
}

#[tokio::test]
async fn metrics_name_routes_and_no_id() {
    let world = World::founded().await;
    let phone = world.phone(1).await;
    phone.sync(&world, vec![]).await;
    let tree = filled("/v1/tree/{log}/{hash}");
    world.raw("GET", &tree, Some(&phone.token), vec![]).await;
    let (_, body) = world.raw("GET", "/metrics", None, vec![]).await;
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains(r#"hauspost_requests_total{route="/v1/sync",status="200"} 1"#), "{text}");
    assert!(text.contains("hauspost_entries_appended_total 12"), "{text}");
    assert!(!text.contains(&LogId([1; 16]).to_string()));
    assert!(!text.contains(&phone.device().to_string()));
}
