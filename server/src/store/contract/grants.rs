//! What every store must hold of history grants.

use hauspost_protocol::file::{Layout, Leaves};

use super::*;

const NO: LogNo = LogNo(1);
const ROOT: Digest = Digest([7; 32]);
const OTHER: DeviceId = DeviceId([99; 16]);

fn grant(tx: &mut dyn Tx, root: Digest, ranges: &[(u64, u64)]) -> Result<(), StoreError> {
    let ranges: Vec<_> = ranges.iter().map(|(from, to)| (Seq(*from), Seq(*to))).collect();
    tx.put_grant(NO, &NewGrant { seq: Seq(9), device: DEVICE, root, ranges: &ranges })
}

pub(crate) async fn a_grant_lets_its_device_read_these_entries_of_this_log_and_no_other(
    database: Database,
) {
    two_logs(&database).await;
    write(&database, |tx| {
        grant(tx, ROOT, &[(4, 6), (9, 9)])?;
        grant(tx, Digest([8; 32]), &[(4, 6), (5, 7)])
    })
    .await;
    read(&database, |tx| {
        let granted = |no, device| {
            (0..12).filter(|seq| tx.is_granted(no, device, Seq(*seq)).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(granted(NO, DEVICE), [4, 5, 6, 7, 9]);
        assert_eq!(granted(LogNo(0), DEVICE), [0; 0]);
        assert_eq!(granted(NO, OTHER), [0; 0]);
        let ranges: Vec<_> = tx.granted(NO, DEVICE)?;
        assert_eq!(ranges, [(Seq(4), Seq(6)), (Seq(5), Seq(7)), (Seq(9), Seq(9))]);
        assert_eq!(tx.granted(NO, OTHER)?, []);
        Ok(())
    })
    .await;
}

pub(crate) async fn a_key_list_is_known_until_it_is_forgotten_and_what_it_granted_stays(
    database: Database,
) {
    two_logs(&database).await;
    write(&database, |tx| {
        let leaves: Leaves = [ROOT].into_iter().collect();
        let layout = Layout::of_plain(10).unwrap();
        let blob = NewBlob { root: ROOT, layout, leaves: &leaves, uploader: DEVICE, begun_ms: 1 };
        tx.begin_blob(NO, &blob)?;
        grant(tx, ROOT, &[(4, 4)])?;
        assert!(tx.blob(NO, ROOT)?.unwrap().is_named, "it is nobody's garbage");
        assert!(!tx.is_blob_named(NO, ROOT, Seq(0), None)?, "and no record's document");
        assert!(tx.is_granted_list(NO, ROOT, DEVICE)?);
        assert!(!tx.is_granted_list(NO, ROOT, OTHER)?);
        assert!(!tx.is_granted_list(LogNo(0), ROOT, DEVICE)?);
        assert_eq!(tx.lists_picked_before(1_000, 9)?, [], "nobody picked it up");
        tx.pick_list(NO, ROOT, 500)?;
        tx.pick_list(NO, ROOT, 900)
    })
    .await;
    write(&database, |tx| {
        assert_eq!(tx.lists_picked_before(500, 9)?, []);
        assert_eq!(tx.lists_picked_before(501, 0)?, []);
        assert_eq!(tx.lists_picked_before(501, 9)?, [(NO, ROOT)], "the first time counts");
        tx.forget_list(NO, ROOT)?;
        assert!(!tx.is_granted_list(NO, ROOT, DEVICE)?);
        assert_eq!(tx.lists_picked_before(501, 9)?, []);
        assert!(tx.is_granted(NO, DEVICE, Seq(4))?);
        Ok(())
    })
    .await;
}
