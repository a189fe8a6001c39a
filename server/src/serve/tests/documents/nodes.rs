//! Two nodes over one database and one place of documents: whichever a phone reaches, its upload goes on.

use axum::Router;

use super::*;

struct Nodes {
    world: World,
    other: App,
    routers: [Router; 2],
    _folder: tempfile::TempDir,
}

impl Nodes {
    /// A company with a second node beside its first.
    async fn two() -> (Self, Phone, Phone, Room) {
        let (world, anna, ben, room) = two().await;
        let folder = tempfile::tempdir().unwrap();
        // Both hold the server's keys.
        let (from, to) = (world.folder.path().join("keys"), folder.path().join("keys"));
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        let mut beside = config(&folder, &world.clock);
        beside.store = Some(world.app.0.database.clone());
        beside.documents = Documents::Folder(world.folder.path().join("blobs"));
        let other = App::open(&beside).await.unwrap();
        let routers = [world.app.router(), other.router()];
        (Self { world, other, routers, _folder: folder }, anna, ben, room)
    }

    /// The world, as it is reached through this node.
    fn at(&mut self, node: usize) -> &World {
        self.world.router = self.routers[node].clone();
        &self.world
    }
}

#[tokio::test]
async fn an_upload_whose_chunks_go_to_two_nodes_in_turn_becomes_complete_and_is_read_at_both() {
    let (mut nodes, anna, ben, room) = Nodes::two().await;
    let document = Document::seal(1, room.log, 130 * 65_536);
    anna.begin(nodes.at(0), room.log, &document).await;
    for chunk in 0..document.layout.chunks() {
        let bytes = &document.chunks[chunk as usize];
        let node = nodes.at(chunk as usize % 2);
        assert_eq!(anna.put(node, room.log, &document, chunk, bytes).await, (OK, vec![]));
    }
    // What one has written and not noted, the other finds or asks for; then it is complete at both.
    for node in [0, 1, 0] {
        anna.put_missing(nodes.at(node), room.log, &document).await;
    }
    for node in [1, 0] {
        let present = anna.begin(nodes.at(node), room.log, &document).await;
        assert!(present.is_complete(document.layout), "{node}");
    }
    let sent = room.request(vec![document.record(&room, 0, 0)]);
    assert!(matches!(anna.append(nodes.at(1), &sent).await[0], Outcome::Ok(_)));
    for (chunk, bytes) in (0..).zip(&document.chunks) {
        let read = ben.get(nodes.at(chunk as usize % 2), room.log, &document, chunk).await;
        assert!(read == (OK, bytes.clone()), "{chunk}");
    }
}

#[tokio::test]
async fn what_one_node_noted_another_that_was_there_before_does_not_ask_for() {
    let (mut nodes, anna, _, room) = Nodes::two().await;
    let document = Document::seal(1, room.log, 128 * 65_536);
    anna.begin(nodes.at(0), room.log, &document).await;
    anna.put(nodes.at(0), room.log, &document, 0, &document.chunks[0]).await;
    anna.begin(nodes.at(1), room.log, &document).await;
    for chunk in 1..100 {
        let bytes = &document.chunks[chunk as usize];
        assert_eq!(anna.put(nodes.at(1), room.log, &document, chunk, bytes).await, (OK, vec![]));
    }
    let present = anna.begin(nodes.at(0), room.log, &document).await;
    let missing: Vec<_> = present.missing(document.layout).collect();
    assert!(missing.iter().all(|chunk| *chunk > 63), "64 of them were noted: {missing:?}");
    assert_eq!(anna.put_missing(nodes.at(0), room.log, &document).await, missing.len());
}

#[tokio::test]
async fn an_upload_that_was_given_up_is_collected_by_one_node_and_begins_anew_at_the_other() {
    let (mut nodes, anna, _, room) = Nodes::two().await;
    let document = Document::seal(1, room.log, 100_000);
    anna.begin(nodes.at(0), room.log, &document).await;
    anna.put(nodes.at(0), room.log, &document, 0, &document.chunks[0]).await;
    nodes.world.advance(7 * DAY_MS + 1);
    assert_eq!(nodes.other.collect_garbage().await.unwrap(), 1);
    let anna = Phone {
        token: nodes.world.session(&anna.sign_in(&nodes.world).await).await.unwrap(),
        ..anna
    };
    let put = anna.put(nodes.at(0), room.log, &document, 1, &document.chunks[1]).await;
    assert_eq!(put, not_found());
    let none = Present::none(document.layout);
    assert_eq!(anna.begin(nodes.at(0), room.log, &document).await, none);
    assert_eq!(anna.put_missing(nodes.at(1), room.log, &document).await, 2);
    assert_eq!(nodes.world.app.collect_garbage().await.unwrap(), 0);
    assert_eq!(nodes.world.blob_files().len(), 1);
}

#[tokio::test]
async fn quotas_count_what_a_device_uploads_at_every_node() {
    let (mut nodes, anna, _, room) = Nodes::two().await;
    let limit = BlobLimits::default().device_uploads;
    let until_ms = nodes.world.now_ms() + 7 * DAY_MS;
    let quota = refused(StatusCode::FORBIDDEN, &format!("quota uploads {limit} {until_ms}"));
    for number in 0..limit {
        let document = Document::seal(1, room.log, number + 1);
        let (status, _) = anna.try_begin(nodes.at(number as usize % 2), room.log, &document).await;
        assert_eq!(status, OK);
    }
    let more = Document::seal(1, room.log, limit + 1);
    for node in 0..2 {
        assert_eq!(anna.try_begin(nodes.at(node), room.log, &more).await, quota);
    }
}

#[tokio::test]
async fn an_upload_that_stands_still_is_forgotten_by_its_node_and_found_again_by_its_bytes() {
    let (world, anna, _, room) = two().await;
    let document = Document::seal(1, room.log, 10 * 65_536);
    anna.begin(&world, room.log, &document).await;
    for chunk in 0..3 {
        anna.put(&world, room.log, &document, chunk, &document.chunks[chunk as usize]).await;
    }
    for _ in 0..2 {
        assert_eq!(world.app.collect_garbage().await.unwrap(), 0);
    }
    // Its phone goes on without asking, as it does after a pause.
    anna.put(&world, room.log, &document, 3, &document.chunks[3]).await;
    for _ in 0..2 {
        world.app.collect_garbage().await.unwrap();
    }
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 6);
    assert_eq!(anna.put_missing(&world, room.log, &document).await, 0);
}
