//! The server with its socket: TLS, address, second start, live hints, end.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::Request;
use futures_util::{FutureExt as _, StreamExt as _};
use hauspost_protocol::body::LogType;
use hauspost_protocol::wire::{TOKEN_HEADER, path};

use super::world::World;
use crate::serve::folder::FolderError;
use crate::serve::{ConnectionLimits, ServeConfig, ServeError, run};

fn client(folder: &std::path::Path) -> reqwest::Client {
    let ca = std::fs::read(folder.join("ca.pem")).unwrap();
    let ca = reqwest::Certificate::from_pem(&ca).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap()
}

#[tokio::test]
async fn a_server_starts_on_an_empty_folder_answers_over_tls_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = run(ServeConfig::new(folder.path(), ([127, 0, 0, 1], 0).into())).await.unwrap();
    let address = std::fs::read_to_string(folder.path().join("address")).unwrap();
    assert_eq!(address, server.url());
    let client = client(folder.path());
    let answer = client.get(format!("{address}/healthz")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let plain = plain.get(format!("http://{}/healthz", server.address())).send().await;
    assert!(plain.is_err(), "no TLS, no answer");
    server.shut_down().await.unwrap();
    assert!(!folder.path().join("address").exists());
    assert!(client.get(format!("{address}/healthz")).send().await.is_err());
}

#[tokio::test]
async fn an_address_with_all_its_connections_is_refused_and_counted_until_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServeConfig::new(folder.path(), ([127, 0, 0, 1], 0).into());
    config.connections = ConnectionLimits { total: 9, per_address: 1 };
    let server = run(config).await.unwrap();
    let asks = async |client: &reqwest::Client, path: &str| {
        client.get(format!("{}{path}", server.url())).send().await
    };
    let first = client(folder.path());
    assert_eq!(asks(&first, "/healthz").await.unwrap().status(), 200);
    let refused = asks(&client(folder.path()), "/healthz").await.unwrap_err();
    assert!(format!("{refused:?}").contains("AccessDenied"), "{refused:?}");

    let ca = std::fs::read(folder.path().join("ca.pem")).unwrap();
    let trusted = [reqwest::Certificate::from_pem(&ca).unwrap()];
    let other = reqwest::Client::builder().no_proxy().tls_certs_only(trusted);
    let other = other.local_address(IpAddr::from([127, 0, 0, 2])).build().unwrap();
    let metrics = asks(&other, "/metrics").await.unwrap().text().await.unwrap();
    assert!(metrics.contains("hauspost_connections 2\n"), "{metrics}");
    assert!(metrics.contains("hauspost_connections_refused_total{reason=\"address\"} 1\n"));

    drop(first);
    // The server hears of the end in its time.
    while asks(&client(folder.path()), "/healthz").await.is_err() {}
    server.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_by_itself_says_so_and_frees_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = ServeConfig::new(folder.path(), ([127, 0, 0, 1], 0).into());
    let mut server = run(config.clone()).await.unwrap();
    // As if the listener failed.
    server.handle.shutdown();
    let end = server.stopped().await.unwrap_err();
    assert!(matches!(end, ServeError::Stopped(_)), "{end}");
    // What it needs met a defect.
    let mut server = run(config.clone()).await.unwrap();
    let needed =
        super::super::Needed { handle: server.handle.clone(), stopping: server.stopping.clone() };
    let defect = tokio::spawn(needed.run(async { panic!("a defect") }));
    assert!(defect.await.is_err());
    let end = server.stopped().await.unwrap_err();
    assert!(matches!(end, ServeError::Stopped(_)), "{end}");
    run(config).await.unwrap().shut_down().await.unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused_and_a_later_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = ServeConfig::new(folder.path(), ([127, 0, 0, 1], 0).into());
    let first = run(config.clone()).await.unwrap();
    let second = run(config.clone()).await.err().unwrap();
    assert!(matches!(second, ServeError::Folder(FolderError::InUse(_))), "{second}");
    let ca = std::fs::read(folder.path().join("ca.pem")).unwrap();
    first.shut_down().await.unwrap();
    let third = run(config).await.unwrap();
    let answer = client(folder.path()).get(format!("{}/healthz", third.url())).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(std::fs::read(folder.path().join("ca.pem")).unwrap(), ca);
    third.shut_down().await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named_and_frees_the_folder() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = ServeConfig::new(folder.path(), taken.local_addr().unwrap());
    let refused = run(config).await.err().unwrap();
    assert!(matches!(refused, ServeError::AddressInUse(_)), "{refused}");
    // Any other port: this one, once free, may be given to another test.
    let config = ServeConfig::new(folder.path(), ([127, 0, 0, 1], 0).into());
    run(config).await.unwrap().shut_down().await.unwrap();
}

#[tokio::test]
async fn a_live_stream_rings_at_once_and_when_there_is_news_for_its_device() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let room = anna.create(&world, LogType::Dm, &[&ben]).await;
    let stream = |token: &str| {
        let request = Request::builder()
            .uri(path::LIVE)
            .header(TOKEN_HEADER, token)
            .body(Body::empty())
            .unwrap();
        tower::ServiceExt::oneshot(world.router.clone(), request)
    };
    let mut live = stream(&ben.token).await.unwrap().into_body().into_data_stream();
    assert_eq!(&live.next().await.unwrap().unwrap()[..], b"\n");
    anna.append(&world, &room.request(vec![room.record(0, 0, b"a")])).await;
    assert_eq!(&live.next().await.unwrap().unwrap()[..], b"\n");
    assert!(live.next().now_or_never().is_none(), "no news, no line");

    // Who appended wants to hear that it is secured; nobody else is woken by a checkpoint.
    let mut author = stream(&anna.token).await.unwrap().into_body().into_data_stream();
    assert_eq!(&author.next().await.unwrap().unwrap()[..], b"\n");
    assert!(author.next().now_or_never().is_none());
    world.make_checkpoint().await.unwrap();
    assert_eq!(&author.next().await.unwrap().unwrap()[..], b"\n");
    assert!(live.next().now_or_never().is_none());
    world.advance(400_000);
    world.make_checkpoint().await.unwrap();
    assert!(author.next().now_or_never().is_none(), "once");
}

#[tokio::test]
async fn a_live_stream_ends_with_the_server() {
    let world = World::founded().await;
    let token = world.role(super::world::ADMIN).await;
    let World { app, router: _, folder, clock } = world;
    app.close().await.unwrap();
    // The certificate is for the clock of the test, which is ahead of TLS' own.
    let mut config = super::world::config(&folder, &clock);
    let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let file = |name, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    config.tls = crate::serve::Tls::Files {
        certificate: file("tls.pem", certificate.cert.pem()),
        key: file("tls.key", certificate.signing_key.serialize_pem()),
    };
    let server = run(config).await.unwrap();
    let trusted = reqwest::Certificate::from_pem(certificate.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let request = client.get(format!("{}{}", server.url(), path::LIVE)).header(TOKEN_HEADER, token);
    let mut live = request.send().await.unwrap();
    assert_eq!(live.chunk().await.unwrap().unwrap(), "\n");
    let rest = async {
        while let Some(rest) = live.chunk().await.unwrap() {
            assert!(rest.is_empty(), "HTTP/2 may end a stream with an empty frame");
        }
    };
    tokio::join!(async { server.shut_down().await.unwrap() }, rest);
}
