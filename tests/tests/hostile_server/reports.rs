//! What phones report of a server that lied to them (`docs/protocol.md` §12, kind 53).

use hauspost_core::inbound::Code;
use hauspost_core::store::rows::alarm::{self, Alarm};
use hauspost_core::store::{StoreError, Tx};
use hauspost_protocol::company::body::ReportCode;
use hauspost_protocol::crypto::sha256;
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::Seq;
use hauspost_protocol::wire::{Outcome, path};

use crate::Scene;

/// Ben's alarms that the company log does not have.
async fn unreported(scene: &Scene) -> usize {
    scene.ben.account.store().read(alarm::unreported).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_reported_once_and_everybody_sees_it_in_the_company_log() {
    let scene = Scene::open().await;
    scene.ben_pulls(|news| news.entries[0].t_ms = 1).await;
    let codes = scene.ben.alarm_codes().await;
    assert_eq!(codes, [Code::WentBack as u64]);
    scene.ben.account.report_alarms().await.unwrap();
    scene.ben.account.report_alarms().await.unwrap();
    assert_eq!(unreported(&scene).await, 0);
    assert_eq!(scene.ben.alarm_codes().await, codes, "the person sees it all the same");
    scene.anna.account.sync_all().await.unwrap();
    let reports = scene.world.reports().await;
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.device, report.log), (scene.ben.account.device(), scene.log));
    assert_eq!(report.code, ReportCode::ServerBrokeRule);
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_of_one_kind_are_one_report_for_each_conversation_with_the_first_of_them_as_proof() {
    let scene = Scene::open().await;
    let raised = [(Some(scene.log), 4, "eins"), (Some(scene.log), 9, "zwei"), (None, 2, "drei")];
    for (log, seq, evidence) in raised {
        let evidence = Some(evidence.as_bytes().to_vec());
        let alarm = Alarm { log, code: Code::Index as u64, seq: Some(Seq(seq)), evidence, t_ms: 1 };
        let raise = move |tx: &Tx<'_>| alarm::raise(tx, &alarm);
        scene.ben.account.store().write::<_, StoreError, _>(raise).await.unwrap();
    }
    scene.ben.account.report_alarms().await.unwrap();
    assert_eq!(unreported(&scene).await, 0, "the second is told by the first");
    let reports = scene.world.reports().await;
    let mut told: Vec<_> =
        reports.iter().map(|report| (report.log, report.seq, report.evidence)).collect();
    told.sort_by_key(|(log, ..)| *log != scene.log);
    let company = told[1].0;
    assert_ne!(company, scene.log);
    let expected = [(scene.log, Seq(4), sha256(b"eins")), (company, Seq(2), sha256(b"drei"))];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_the_accused_server_refuses_is_offered_again() {
    let scene = Scene::open().await;
    scene.ben_pulls(|news| news.entries[0].t_ms = 1).await;
    scene.lies.answers_with(path::APPEND, || encode(&vec![Outcome::Quota(0)]));
    scene.ben.account.report_alarms().await.unwrap();
    assert_eq!(unreported(&scene).await, 1);
    assert_eq!(scene.world.reports().await, []);
    scene.lies.is_honest_again();
    // It may keep the entry and say that it did not.
    scene.lies.twists::<Vec<Outcome>>(path::APPEND, |outcomes| *outcomes = vec![Outcome::Policy]);
    scene.ben.account.report_alarms().await.unwrap();
    assert_eq!(unreported(&scene).await, 0);
    assert_eq!(scene.world.reports().await.len(), 1);
}
