//! What documents may take: by the server's limits and the company's policy, each refusal with its limit and time.

use hauspost_protocol::company::body::{CompanyBody, PolicyEntry};
use hauspost_protocol::company::policy::{GeneralPart, PolicyDocument, Terms};

use super::super::world::HR;
use super::*;

fn quota(words: &str) -> Answer {
    refused(StatusCode::FORBIDDEN, &format!("quota {words}"))
}

fn too_large(most: u64) -> Answer {
    refused(StatusCode::PAYLOAD_TOO_LARGE, &format!("too_large {most}"))
}

impl World {
    /// The company makes a policy that says this.
    async fn has_policy(&self, version: u64, general: GeneralPart) {
        let document = PolicyDocument::of(&Terms { general, ..Terms::default() });
        let document = Bytes(encode(&document));
        let body = PolicyEntry { seen: self.seen().await, version, document };
        let made = self.append_company(CompanyBody::Policy(body), &[ADMIN, HR, COUNCIL]).await;
        assert!(matches!(made, Outcome::Ok(_)), "{made:?}");
    }
}

#[tokio::test]
async fn a_device_has_a_quota_for_what_no_record_names_and_the_company_one_for_all() {
    let limits = BlobLimits {
        document_bytes: Some(1_000),
        device_bytes: 1_500,
        device_uploads: 2,
        company_bytes: Some(2_500),
        ..BlobLimits::default()
    };
    let (world, anna, ben, room) = founded_with(limits, None).await;
    let [first, second, third] = [1, 2, 3].map(|key| Document::seal(key, room.log, 900));
    let huge = Document::seal(4, room.log, 1_001);
    assert_eq!(anna.try_begin(&world, room.log, &huge).await, too_large(1_000));
    let begun_ms = world.now_ms();
    anna.put_missing(&world, room.log, &first).await;
    world.advance(60_000);
    let goes_ms = begun_ms + 7 * DAY_MS;
    let unnamed = quota(&format!("unnamed 1500 {goes_ms}"));
    assert_eq!(anna.try_begin(&world, room.log, &second).await, unnamed);
    assert_eq!(anna.put_missing(&world, room.log, &first).await, 0, "what it has goes on");
    anna.append(&world, &room.request(vec![first.record(&room, 0, 0)])).await;
    anna.put_missing(&world, room.log, &second).await;
    assert_eq!(ben.try_begin(&world, room.log, &third).await, quota("company 2500"));
    let small = [5, 6, 7].map(|key| Document::seal(key, room.log, 10));
    let begun_ms = world.now_ms();
    ben.put_missing(&world, room.log, &small[0]).await;
    world.advance(1);
    ben.put_missing(&world, room.log, &small[1]).await;
    let uploads = quota(&format!("uploads 2 {}", begun_ms + 7 * DAY_MS));
    assert_eq!(ben.try_begin(&world, room.log, &small[2]).await, uploads);
}

#[tokio::test]
async fn the_policy_says_how_large_a_document_may_be_and_what_a_device_and_the_company_may_have() {
    let (world, anna, ben, room) = two().await;
    let policy = GeneralPart {
        document_bytes: 1_000,
        device_bytes: Some(2_000),
        company_bytes: Some(3_000),
        ..GeneralPart::default()
    };
    let before = Document::seal(1, room.log, 1_001);
    anna.put_missing(&world, room.log, &before).await;
    world.has_policy(1, policy.clone()).await;
    assert_eq!(anna.put_missing(&world, room.log, &before).await, 0, "it was begun before");
    let [huge, first, second] =
        [(2, 1_001), (3, 900), (4, 900)].map(|(key, size)| Document::seal(key, room.log, size));
    assert_eq!(anna.try_begin(&world, room.log, &huge).await, too_large(1_000));
    anna.put_missing(&world, room.log, &first).await;
    let sent = [&before, &first].into_iter().zip(0..);
    let records = sent.map(|(document, index)| document.record(&room, 0, index)).collect();
    assert!(matches!(anna.append(&world, &room.request(records)).await[0], Outcome::Ok(_)));
    let device = quota("device 2000");
    assert_eq!(anna.try_begin(&world, room.log, &second).await, device, "named ones count too");
    ben.put_missing(&world, room.log, &second).await;
    let third = Document::seal(5, room.log, 900);
    assert_eq!(ben.try_begin(&world, room.log, &third).await, quota("company 3000"));
    world.has_policy(2, GeneralPart { company_bytes: None, ..policy }).await;
    ben.put_missing(&world, room.log, &third).await;
}

#[tokio::test]
async fn the_policy_says_how_long_an_upload_waits_for_its_message() {
    let (world, anna, _, room) = two().await;
    let [one, other] = [1, 2].map(|key| Document::seal(key, room.log, 100));
    anna.put_missing(&world, room.log, &one).await;
    world.has_policy(1, GeneralPart { upload_hours: 2, ..GeneralPart::default() }).await;
    world.advance(3_600_000);
    let token = world.session(&anna.sign_in(&world).await).await.unwrap();
    let anna = Phone { token, ..anna };
    anna.put_missing(&world, room.log, &other).await;
    assert_eq!(world.app.collect_garbage().await.unwrap(), 0);
    world.advance(3_600_001);
    assert_eq!(world.app.collect_garbage().await.unwrap(), 1);
    assert_eq!(world.blob_files().len(), 1);
    let token = world.session(&anna.sign_in(&world).await).await.unwrap();
    let anna = Phone { token, ..anna };
    assert_eq!(anna.put_missing(&world, room.log, &other).await, 0, "it has an hour left");
}

#[tokio::test]
async fn a_limit_of_the_server_below_the_policys_holds() {
    let hour = Some(3_600_000);
    let limits = BlobLimits { unnamed_ms: hour, document_bytes: Some(50), ..BlobLimits::default() };
    let (world, anna, _, room) = founded_with(limits, None).await;
    world.has_policy(1, GeneralPart { upload_hours: 48, ..GeneralPart::default() }).await;
    let [small, large] = [50, 51].map(|size| Document::seal(1, room.log, size));
    assert_eq!(anna.try_begin(&world, room.log, &large).await, too_large(50));
    anna.put_missing(&world, room.log, &small).await;
    world.advance(3_600_001);
    assert_eq!(world.app.collect_garbage().await.unwrap(), 1);
}
