//! What every store must hold of documents.

use hauspost_protocol::file::{CHUNK_BYTES, Layout, Leaves};

use super::*;

const NO: LogNo = LogNo(1);
const ROOT: Digest = Digest([7; 32]);

/// Begins a document of so many chunks; its root and its chunks' hashes are made up.
fn begin(tx: &mut dyn Tx, no: LogNo, root: Digest, chunks: u64) -> Result<BlobRow, StoreError> {
    let leaves: Leaves = (0..chunks).map(|chunk| Digest(sha256(&chunk.to_be_bytes()).0)).collect();
    let layout = Layout::of_plain(chunks * CHUNK_BYTES as u64).unwrap();
    let blob = NewBlob { root, layout, leaves: &leaves, uploader: DEVICE, begun_ms: 1_000 };
    let id = tx.begin_blob(no, &blob)?;
    let row = tx.blob(no, root)?.unwrap();
    assert_eq!((row.id, row.layout, row.uploader, row.begun_ms), (id, layout, DEVICE, 1_000));
    assert_eq!((row.is_complete(), row.is_named), (false, false));
    Ok(row)
}

pub(crate) async fn a_document_is_complete_with_its_last_chunk_and_known_in_its_own_log_only(
    database: Database,
) {
    two_logs(&database).await;
    write(&database, |tx| {
        begin(tx, NO, ROOT, 9)?;
        for chunk in [8, 0, 1, 2, 3, 3, 4, 5, 7] {
            tx.put_chunks(NO, ROOT, &[chunk])?;
            assert!(!tx.blob(NO, ROOT)?.unwrap().is_complete());
        }
        assert!(tx.put_chunks(LogNo(0), ROOT, &[6]).is_err());
        Ok(())
    })
    .await;
    write(&database, |tx| tx.put_chunks(NO, ROOT, &[6, 8])).await;
    let read = read(&database, |tx| Ok((tx.blob(NO, ROOT)?, tx.blob(LogNo(0), ROOT)?))).await;
    assert!(read.0.unwrap().is_complete());
    assert_eq!(read.1, None);
}

pub(crate) async fn the_hash_of_every_chunk_is_read_back_across_rows(database: Database) {
    two_logs(&database).await;
    let chunks = 300u32;
    let id = write(&database, move |tx| Ok(begin(tx, NO, ROOT, chunks.into())?.id)).await;
    read(&database, move |tx| {
        for chunk in 0..chunks {
            let leaf = Digest(sha256(&u64::from(chunk).to_be_bytes()).0);
            assert_eq!(tx.blob_leaf(id, chunk)?, Some(leaf), "{chunk}");
        }
        assert_eq!(tx.blob_leaf(id, chunks)?, None);
        Ok(())
    })
    .await;
}

pub(crate) async fn a_named_document_is_never_abandoned_and_counts_for_no_device(
    database: Database,
) {
    two_logs(&database).await;
    let other = Digest([8; 32]);
    let size = write(&database, move |tx| {
        let size = begin(tx, NO, ROOT, 1)?.layout.blob_size();
        begin(tx, NO, other, 1)?;
        assert_eq!(tx.unnamed_blobs(DEVICE)?, BlobSum { count: 2, bytes: 2 * size });
        tx.name_blob(NO, ROOT, Seq(3))?;
        Ok(size)
    })
    .await;
    read(&database, move |tx| {
        assert!(tx.blob(NO, ROOT)?.unwrap().is_named);
        assert_eq!(tx.unnamed_blobs(DEVICE)?, BlobSum { count: 1, bytes: size });
        assert_eq!(tx.unnamed_blobs(DeviceId([99; 16]))?, BlobSum::default());
        assert_eq!(tx.all_blobs()?, BlobSum { count: 2, bytes: 2 * size });
        assert_eq!(tx.blobs_of(DEVICE)?, BlobSum { count: 2, bytes: 2 * size });
        assert_eq!(tx.blobs_of(DeviceId([99; 16]))?, BlobSum::default());
        assert_eq!(tx.oldest_unnamed_blob(DEVICE)?, Some(1_000));
        assert_eq!(tx.oldest_unnamed_blob(DeviceId([99; 16]))?, None);
        assert_eq!(tx.abandoned_blobs(1_000, 9)?, []);
        assert_eq!(tx.abandoned_blobs(1_001, 9)?, [(NO, other)]);
        Ok(())
    })
    .await;
    write(&database, move |tx| tx.resume_blob(NO, other, 2_000)).await;
    assert_eq!(read(&database, |tx| tx.oldest_unnamed_blob(DEVICE)).await, Some(2_000));
    assert_eq!(read(&database, |tx| tx.abandoned_blobs(2_000, 9)).await, []);
}

pub(crate) async fn a_dropped_document_is_gone_with_its_key_and_may_begin_anew(database: Database) {
    two_logs(&database).await;
    let first = write(&database, |tx| Ok(begin(tx, NO, ROOT, 2)?.id)).await;
    assert!(read(&database, move |tx| tx.blob_key(first)).await.is_some());
    assert_eq!(write(&database, |tx| tx.drop_blob(NO, ROOT)).await, Some(first));
    assert_eq!(write(&database, |tx| tx.drop_blob(NO, ROOT)).await, None);
    read(&database, move |tx| {
        assert_eq!(tx.blob(NO, ROOT)?, None);
        assert_eq!(tx.blob_key(first)?, None);
        assert_eq!(tx.blob_leaf(first, 0)?, None);
        assert_eq!(tx.all_blobs()?, BlobSum::default());
        Ok(())
    })
    .await;
    let second = write(&database, |tx| Ok(begin(tx, NO, ROOT, 2)?.id)).await;
    assert_ne!(first, second);
    let keys = read(&database, move |tx| Ok((tx.blob_key(first)?, tx.blob_key(second)?))).await;
    assert!(keys.0.is_none() && keys.1.is_some());
}

pub(crate) async fn a_document_is_named_between_the_numbers_of_the_records_that_name_it(
    database: Database,
) {
    two_logs(&database).await;
    write(&database, |tx| {
        begin(tx, NO, ROOT, 1)?;
        for seq in [9, 5, 5] {
            tx.name_blob(NO, ROOT, Seq(seq))?;
        }
        Ok(())
    })
    .await;
    read(&database, |tx| {
        assert_eq!(tx.blob_names(NO, ROOT)?, [Seq(5), Seq(9)]);
        assert_eq!(tx.blob_names(LogNo(0), ROOT)?, []);
        let named = |from, to: Option<u64>| tx.is_blob_named(NO, ROOT, Seq(from), to.map(Seq));
        for (from, to, expected) in [
            (0, Some(4), false),
            (0, Some(5), true),
            (5, Some(5), true),
            (6, Some(8), false),
            (6, None, true),
            (10, None, false),
        ] {
            assert_eq!(named(from, to)?, expected, "{from} {to:?}");
        }
        Ok(())
    })
    .await;
}
