//! What devices report to the company log.

use hauspost_protocol::body::LogType;
use hauspost_protocol::company::body::{CompanyBody, ReportCode, ReportEntry};
use hauspost_protocol::company::entry::company_entry;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::ids::{Digest, LogId, Seq};
use hauspost_protocol::limits::DAY_MS;
use hauspost_protocol::wire::Outcome;

use super::world::{ADMIN, COMPANY, Phone, World, append_request, key};

/// What a phone gets for its report, signed by `by`.
async fn report(
    world: &World,
    phone: &Phone,
    log: LogId,
    code: ReportCode,
    by: &SigningKey,
) -> Outcome {
    let (seen, device) = (world.seen().await, phone.device());
    let body = ReportEntry { seen, device, log, code, seq: Seq(4), evidence: Digest([5; 32]) };
    let entry = company_entry(COMPANY, body, &[by]);
    phone.append(world, &append_request(COMPANY.log(), vec![entry])).await.remove(0)
}

#[tokio::test]
async fn a_device_reports_once_for_each_log_code_and_day() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let log = anna.create(&world, LogType::Group, &[&ben]).await.log;
    let by = &ben.key;
    let fork = ReportCode::Fork;
    let first = report(&world, &ben, log, fork, by).await;
    let Outcome::Ok(seq) = first else { panic!("{first:?}") };
    assert_eq!(report(&world, &ben, log, fork, by).await, Outcome::Policy);
    let reset = report(&world, &ben, log, ReportCode::Reset, by).await;
    assert!(matches!(reset, Outcome::Ok(_)), "{reset:?}");
    let company = report(&world, &ben, COMPANY.log(), fork, by).await;
    assert!(matches!(company, Outcome::Ok(_)), "{company:?}");
    world.advance(DAY_MS);
    let (anna, ben) = (world.sign_in_again(anna).await, world.sign_in_again(ben).await);
    let tomorrow = report(&world, &ben, log, fork, &ben.key).await;
    assert!(matches!(tomorrow, Outcome::Ok(_)), "{tomorrow:?}");
    let other = report(&world, &anna, log, fork, &anna.key).await;
    assert!(matches!(other, Outcome::Ok(_)), "{other:?}");
    let token = world.role(ADMIN).await;
    let company = world.company(&token).await;
    assert!(matches!(company.now().entry(seq), Some(CompanyBody::Report(_))), "the admin sees it");
}

#[tokio::test]
async fn a_report_counts_by_the_reporting_devices_own_signature_only() {
    let world = World::founded().await;
    let (anna, ben) = (world.phone(1).await, world.phone(2).await);
    for by in [&anna.key, &key(ADMIN)] {
        let given = report(&world, &ben, COMPANY.log(), ReportCode::Fork, by).await;
        assert_eq!(given, Outcome::Role);
    }
}

#[tokio::test]
async fn a_report_about_a_log_that_is_not_the_devices_does_not_fill_the_company_log() {
    let world = World::founded().await;
    let (mut anna, ben) = (world.phone(1).await, world.phone(2).await);
    let carla = world.phone(3).await;
    let log = anna.create(&world, LogType::Group, &[&ben]).await.log;
    for log in [log, LogId([77; 16])] {
        let given = report(&world, &carla, log, ReportCode::Fork, &carla.key).await;
        assert_eq!(given, Outcome::NoLog);
    }
}
