//! What changed, and how little of it travels: of all requests the one that each message costs every
//! reader.
//!
//! Hashes and signatures run over the bytes that authors signed; these forms leave out only what the
//! reader puts back byte for byte.

use super::CheckpointNews;
use crate::array_item;
use crate::encoding::{Bytes, FormError, Item, Reader, UINT_LIMIT, Writer};
use crate::entry::{Entry, Payload};
use crate::ids::{LogId, Seq, TimeMs};

array_item! {
    /// Everything that changed, for all conversations of the device at once.
    ///
    /// The first request of a phone names a cursor of each log that it knows. The later ones say since
    /// when, so that they are as short with a thousand rooms as with one.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SyncRequest {
        /// `now` of an answer: logs without a cursor here come only if they changed after it, and
        /// from their first entry after it. Without it they come from their first entry on.
        pub since: Option<u64>,
        /// The next entry wanted of these logs.
        pub cursors: Vec<(LogId, Seq)>,
        /// The next entry wanted of the company log.
        pub company_next: Seq,
        /// The newest checkpoint verified: era and outer size.
        pub checkpoint: Option<(u64, u64)>,
    }
}

/// What changed; if `more`, ask again at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncAnswer {
    /// The company log's entries, before everything that relies on them.
    pub company: Vec<Entry>,
    /// The company log's size at the server.
    pub company_size: u64,
    /// What the next request may name as `since`, once it took everything in; none while there is
    /// more, or if `since` is none of this server's.
    pub now: Option<u64>,
    /// The logs with news, newest conversation first.
    pub logs: Vec<LogNews>,
    /// The newest checkpoint, if it is newer than the one named.
    pub checkpoint: Option<CheckpointNews>,
    /// Whether there is more.
    pub more: bool,
    /// The server's clock. It travels as its distance from the newest entry of the answer, and a clock
    /// that was set back behind that entry as the entry's time.
    pub t_ms: TimeMs,
}

impl SyncAnswer {
    /// The time of the newest entry; 0 without any.
    fn newest_ms(company: &[Entry], logs: &[LogNews]) -> TimeMs {
        let entries = company.iter().chain(logs.iter().flat_map(|news| &news.entries));
        entries.map(|entry| entry.t_ms).max().unwrap_or_default()
    }
}

impl Item for SyncAnswer {
    fn write(&self, to: &mut Writer) {
        to.array(7);
        self.company.write(to);
        self.company_size.write(to);
        self.now.write(to);
        self.logs.write(to);
        self.checkpoint.write(to);
        self.more.write(to);
        to.uint(self.t_ms.saturating_sub(Self::newest_ms(&self.company, &self.logs)));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(7, |from| {
            let (company, company_size) = (Vec::read(from)?, Item::read(from)?);
            let (now, logs, checkpoint) = (Item::read(from)?, Vec::read(from)?, Item::read(from)?);
            let (more, since_newest_ms) = (Item::read(from)?, from.uint()?);
            let t_ms = Self::newest_ms(&company, &logs) + since_newest_ms;
            if t_ms >= UINT_LIMIT {
                return Err(FormError::TooLarge);
            }
            Ok(Self { company, company_size, now, logs, checkpoint, more, t_ms })
        })
    }
}

/// News of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogNews {
    /// The log.
    pub log: LogId,
    /// Its entries from the cursor on, each without what the news say of all of them. A record of an
    /// epoch without a leaf of this device comes without its payload.
    pub entries: Vec<Entry>,
    /// Welcomes for this device among them, by the commit's number.
    pub welcomes: Vec<(Seq, Bytes)>,
    /// The log's size at the server, as far as this device may read it.
    pub size: u64,
}

impl Item for LogNews {
    fn write(&self, to: &mut Writer) {
        to.array(4);
        self.log.write(to);
        to.array(self.entries.len());
        for entry in &self.entries {
            write_entry(to, self.log, entry);
        }
        self.welcomes.write(to);
        self.size.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.array(4, |from| {
            let log = Item::read(from)?;
            let entries =
                from.list(|from, len| (0..len).map(|_| read_entry(from, log)).collect())?;
            Ok(Self { log, entries, welcomes: Item::read(from)?, size: Item::read(from)? })
        })
    }
}

/// `[head, payload, seq, t_ms, co]`, or the seven of an entry as sent without its payload. The head is
/// without its log.
fn write_entry(to: &mut Writer, log: LogId, entry: &Entry) {
    let head = without_log(&entry.head, log);
    match &entry.payload {
        Payload::Kept(payload) => {
            to.array(5);
            to.bytes(&head);
            payload.write(to);
        }
        Payload::Absent { hash, len } => {
            to.array(7);
            to.bytes(&head);
            to.null();
            hash.write(to);
            len.write(to);
        }
    }
    entry.seq.write(to);
    entry.t_ms.write(to);
    entry.co.write(to);
}

fn read_entry(from: &mut Reader<'_>, log: LogId) -> Result<Entry, FormError> {
    from.list(|from, len| {
        let head = Bytes(with_log(from.bytes()?, log));
        let payload = match len {
            5 => Payload::Kept(Item::read(from)?),
            7 if from.take_null()? => {
                Payload::Absent { hash: Item::read(from)?, len: Item::read(from)? }
            }
            _ => return Err(FormError::Malformed),
        };
        let (seq, t_ms, co) = (Item::read(from)?, Item::read(from)?, Item::read(from)?);
        Ok(Entry { head, payload, seq, t_ms, co })
    })
}

/// The heads of arrays of ten and of nine items.
const TEN: u8 = 0x8a;
const NINE: u8 = 0x89;
/// The head of a byte string of 16.
const ID: u8 = 0x50;
/// Where a head names its log, behind its version and kind.
const LOG_AT: usize = 3;

/// A head as an array of nine, without the third of its ten items if that is this log.
fn without_log(head: &[u8], log: LogId) -> Vec<u8> {
    let named = head.get(LOG_AT..LOG_AT + 17).and_then(|item| item.strip_prefix(&[ID]));
    if head.first() != Some(&TEN) || named != Some(&log.0) {
        return head.to_vec();
    }
    [&[NINE], &head[1..LOG_AT], &head[LOG_AT + 17..]].concat()
}

/// The head as it was signed.
fn with_log(head: &[u8], log: LogId) -> Vec<u8> {
    match head {
        [NINE, version, kind, rest @ ..] => {
            [&[TEN, *version, *kind, ID], &log.0[..], rest].concat()
        }
        whole => whole.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{decode, encode};
    use crate::entry::{Head, Kind, Slot};
    use crate::ids::{Epoch, Gen, LeafIndex, RecordIndex};

    const LOG: LogId = LogId([5; 16]);

    fn head(log: LogId) -> Vec<u8> {
        let slot = Slot { leaf: LeafIndex(2), index: RecordIndex(300), cap: Seq(1) };
        encode(&Head { slot: Some(slot), ..Head::plain(Kind::Record, log, Gen(0), Epoch(1)) })
    }

    fn entry(log: LogId, t_ms: TimeMs) -> Entry {
        let payload = Payload::Kept(Bytes(vec![7; 40]));
        Entry { head: Bytes(head(log)), payload, seq: Seq(3), t_ms, co: 9 }
    }

    fn news(entries: Vec<Entry>) -> LogNews {
        LogNews { log: LOG, entries, welcomes: Vec::new(), size: 4 }
    }

    fn answer(entries: Vec<Entry>, t_ms: TimeMs) -> SyncAnswer {
        SyncAnswer {
            company: Vec::new(),
            company_size: 9,
            now: Some(1),
            logs: vec![news(entries)],
            checkpoint: None,
            more: false,
            t_ms,
        }
    }

    #[test]
    fn a_head_comes_back_byte_for_byte_and_its_log_travels_once() {
        let sent = news(vec![entry(LOG, 1_000), entry(LOG, 1_001)]);
        let bytes = encode(&sent);
        let times = bytes.windows(16).filter(|window| *window == LOG.0).count();
        assert_eq!((times, decode(&bytes)), (1, Ok(sent)));
    }

    #[test]
    fn a_head_of_another_log_travels_whole_so_that_the_reader_can_refuse_it() {
        let sent = news(vec![entry(LogId([6; 16]), 1_000)]);
        assert_eq!(decode(&encode(&sent)), Ok(sent));
    }

    #[test]
    fn an_entry_without_its_payload_says_what_is_left_of_it() {
        let kept = entry(LOG, 1_000);
        let (hash, len) = kept.payload.facts();
        let sent = news(vec![Entry { payload: Payload::Absent { hash, len }, ..kept }]);
        assert_eq!(decode(&encode(&sent)), Ok(sent));
    }

    #[test]
    fn news_have_one_form_only() {
        let short = encode(&news(vec![entry(LOG, 1_000)]));
        let (whole, cut) = (head(LOG), without_log(&head(LOG), LOG));
        assert_eq!((cut.len(), whole.len()), (cut.len(), cut.len() + 17));
        let at = short.windows(cut.len()).position(|window| window == cut).unwrap();
        // The same head with the log that it need not name.
        let mut long = short[..at - 1].to_vec();
        long.extend([&[0x58, whole.len() as u8], &whole[..], &short[at + cut.len()..]].concat());
        assert_eq!(decode::<LogNews>(&long), Err(FormError::NotCanonical));
    }

    #[test]
    fn the_servers_clock_travels_as_its_distance_from_the_newest_entry() {
        for t_ms in [1_800_000_000_000, 1_800_000_000_007, 1_900_000_000_000] {
            let sent = answer(vec![entry(LOG, 1_800_000_000_000), entry(LOG, 5)], t_ms);
            assert_eq!(decode(&encode(&sent)), Ok(sent));
        }
        let none = answer(Vec::new(), 1_800_000_000_000);
        assert_eq!(decode(&encode(&none)), Ok(none));
        let set_back = encode(&answer(vec![entry(LOG, 1_000)], 900));
        assert_eq!(decode::<SyncAnswer>(&set_back).map(|answer| answer.t_ms), Ok(1_000));
    }

    #[test]
    fn a_clock_beyond_all_numbers_is_refused() {
        let far = UINT_LIMIT - 1;
        let mut bytes = encode(&answer(vec![entry(LOG, far)], far));
        assert_eq!(bytes.pop(), Some(0));
        bytes.push(1);
        assert_eq!(decode::<SyncAnswer>(&bytes), Err(FormError::TooLarge));
    }
}
