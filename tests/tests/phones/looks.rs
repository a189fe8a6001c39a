//! Previews between two phones over the real server: made, sent, judged, shown.

use std::path::PathBuf;

use hauspost_core::account::{Attachment, DocumentOrigin};
use hauspost_core::read::Window;
use hauspost_core::store::rows::file::ShownFile;
use hauspost_core::store::rows::preview::{PreviewState, ShownPreview};
use hauspost_protocol::ids::{LogId, MessageId};
use hauspost_protocol::statement::FileRole;
use hauspost_tests::real::{Phone, World};

/// A PNG of 600 × 400 pixels in one colour, as small as a program makes it.
fn picture() -> Vec<u8> {
    let plain = image::RgbImage::from_pixel(600, 400, image::Rgb([200, 30, 30]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    plain.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

async fn two() -> (World, Phone, Phone, LogId) {
    let mut world = World::found().await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    let log = anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    (world, anna, ben, log)
}

async fn files(phone: &Phone, log: LogId, id: MessageId) -> Vec<ShownFile> {
    let page = phone.account.timeline(log, Window::Newest, 50).await.unwrap();
    page.rows.into_iter().find(|row| row.message_id == id).unwrap().files
}

async fn previews(phone: &Phone, log: LogId, id: MessageId) -> Vec<ShownPreview> {
    phone.account.fetch_previews().await.unwrap();
    phone.account.previews(log, vec![id]).await.unwrap()
}

fn path(world: &World, name: &str, bytes: &[u8]) -> PathBuf {
    let path = world.data().parent().unwrap().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn preview(bytes: Vec<u8>, of: u64) -> Attachment {
    Attachment {
        origin: DocumentOrigin::Bytes(bytes),
        name: "preview".to_owned(),
        media_type: None,
        role: FileRole::Preview,
        of: Some(of),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_seen_before_it_is_fetched_and_after_a_restart() {
    let (world, anna, ben, log) = two().await;
    let note = Attachment::path(path(&world, "notiz.txt", b"kein Bild"));
    let photo = Attachment::path(path(&world, "foto.png", &picture()));
    let id = anna.account.send_files(log, vec![note, photo], "Baustelle").await.unwrap();
    let own = previews(&anna, log, id).await;
    assert_eq!((own.len(), own[0].position, own[0].width, own[0].height), (1, 1, 320, 213));
    anna.settle().await;
    ben.settle().await;
    let waiting: Vec<_> = files(&ben, log, id).await.iter().map(|file| file.preview).collect();
    assert_eq!(waiting, [None, Some(PreviewState::Waiting), None]);
    let seen = previews(&ben, log, id).await;
    assert_eq!((seen.len(), seen[0].position, seen[0].width), (1, 1, 320));
    let shown = image::load_from_memory(&seen[0].picture).unwrap().into_rgb8();
    let [red, green, blue] = shown.get_pixel(100, 100).0;
    assert!(red > 180 && green < 60 && blue < 60, "{red} {green} {blue}");
    let there = files(&ben, log, id).await;
    assert_eq!(there[1].preview, Some(PreviewState::Here));
    assert!(there.iter().all(|file| !file.is_here), "nothing else came");
    let ben = ben.restart().await;
    assert!(ben.account.previews(log, vec![id]).await.unwrap() == seen);
    // The picture itself is what Anna sent, to the byte.
    let opened = ben.account.open_file(log, id, 1).await.unwrap();
    assert!(std::fs::read(opened).unwrap() == picture());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_lies_is_dropped_for_all_to_see_and_its_document_is_not() {
    let (world, anna, ben, log) = two().await;
    let photo = path(&world, "foto.png", &picture());
    let mut noisy = picture();
    noisy.resize(40_000, 7);
    for (number, lie) in
        [b"<html>keine".to_vec(), noisy, picture(), b"\xff\xd8\xff\xe0JFIF".to_vec(), Vec::new()]
            .into_iter()
            .enumerate()
    {
        let sent = vec![Attachment::path(&photo), preview(lie, 0)];
        let id = anna.account.send_files(log, sent, "").await.unwrap();
        anna.settle().await;
        ben.settle().await;
        assert!(previews(&ben, log, id).await.is_empty(), "{number}");
        let there = files(&ben, log, id).await;
        assert_eq!(there[0].preview, Some(PreviewState::Dropped), "{number}");
        ben.account.open_file(log, id, 0).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_preview_of_a_document_counts_and_one_of_nothing_is_no_preview() {
    let (world, anna, ben, log) = two().await;
    let plain = image::RgbImage::from_pixel(30, 20, image::Rgb([0, 200, 0]));
    let mut small = std::io::Cursor::new(Vec::new());
    plain.write_to(&mut small, image::ImageFormat::Png).unwrap();
    let small = small.into_inner();
    let photo = Attachment::path(path(&world, "foto.png", &picture()));
    let sent = vec![photo, preview(small.clone(), 0), preview(picture(), 0), preview(small, 1)];
    let id = anna.account.send_files(log, sent, "").await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let seen = previews(&ben, log, id).await;
    assert_eq!((seen.len(), seen[0].position, seen[0].width), (1, 0, 30));
}
