//! What a policy says besides what can watch people.

use super::list::growing_list;
use super::quiet::QuietPlan;
use super::zone::Zone;
use crate::limits;
use crate::mls::extension::GROUP_BINDING_VERSION;
use crate::mls::member::Suite;
use crate::{array_item, code_item};

/// The largest document: what a blob of the protocol's largest size holds.
const MAX_DOCUMENT_BYTES: u64 = limits::BLOB_BYTES - (1 << 20);
/// The largest quota, a million TiB.
const MAX_QUOTA_BYTES: u64 = 1 << 60;
/// Words of a document rule, at most.
const WORDS: usize = 4_096;

growing_list! {
    /// The part of a policy that admin and HR sign alone.
    pub struct GeneralPart {
        /// Which documents are sent and opened; without a rule everything is sent, and what a system would
        /// run is not opened.
        documents: Option<DocumentRule> = None, fits_rule;
        /// The largest document that may be sent, in bytes of its content, up to 4 GiB − 1 MiB.
        document_bytes: u64 = 2 << 30, |bytes| (1..=MAX_DOCUMENT_BYTES).contains(bytes);
        /// Hours for which the server keeps an upload that no record names, 1 to 2,160 (90 days).
        upload_hours: u64 = 7 * 24, |hours| (1..=90 * 24).contains(hours);
        /// Bytes that the documents of one device may take at the server; null: what the server allows.
        device_bytes: Option<u64> = None, fits_quota;
        /// Bytes that all documents may take at the server; null: what the server allows.
        company_bytes: Option<u64> = None, fits_quota;
        /// The MLS suite of every new group, if it does not go by the group's size (§3).
        suite_code: Option<u16> = None, |code| code.is_none_or(|code| Suite::from_code(code).is_some());
        /// The version of extension 0xFF01 that groups move to; null: the newest that is known.
        group_version: Option<u64> = None, |version| version.is_none_or(|version| {
            (1..=GROUP_BINDING_VERSION).contains(&version)
        });
        /// Who may mention everybody in a conversation.
        at_all: WhoMayCallAll = WhoMayCallAll::Everyone, |_| true;
        /// The company's clock, for days, years and quiet hours; null: UTC.
        zone: Option<Zone> = None, |zone| zone.as_ref().is_none_or(Zone::fits);
        /// Quiet hours of whoever has set none for himself.
        quiet_hours: QuietPlan = QuietPlan::default(), QuietPlan::fits;
        /// Hours for which something may wait to be sent before it fails, 1 to 2,160 (90 days).
        queue_hours: u64 = 14 * 24, |hours| (1..=90 * 24).contains(hours);
    }
}

impl GeneralPart {
    /// The suite of every new group, if the policy names one.
    pub fn suite(&self) -> Option<Suite> {
        self.suite_code.and_then(Suite::from_code)
    }

    /// The company's clock.
    pub fn zone(&self) -> &Zone {
        self.zone.as_ref().unwrap_or(Zone::utc())
    }
}

fn fits_quota(bytes: &Option<u64>) -> bool {
    bytes.is_none_or(|bytes| bytes <= MAX_QUOTA_BYTES)
}

fn fits_rule(rule: &Option<DocumentRule>) -> bool {
    rule.as_ref().is_none_or(|rule| {
        let words = || rule.blocked.iter().chain(rule.allowed.iter().flatten());
        words().count() <= WORDS && words().all(|word| word.len() <= limits::NAME_BYTES)
    })
}

code_item! {
    /// Who may mention everybody in a conversation.
    pub enum WhoMayCallAll {
        /// Every member.
        Everyone = 0,
        /// Owners; in a conversation without owners every member.
        Owners = 1,
        /// Nobody.
        Nobody = 2,
    }
}

array_item! {
    /// Which documents people may send and open. Each word is an ending in small letters without its dot,
    /// or a media type.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct DocumentRule {
        /// Those that they may not.
        pub blocked: Vec<String>,
        /// If set, the only ones that they may.
        pub allowed: Option<Vec<String>>,
    }
}

impl DocumentRule {
    /// Whether one of these words, by which a document is known, is blocked.
    pub fn blocks(&self, words: &[&str]) -> bool {
        any(&self.blocked, words)
    }

    /// Whether one of these words is allowed, or all are.
    pub fn allows(&self, words: &[&str]) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| any(allowed, words))
    }
}

fn any(listed: &[String], words: &[&str]) -> bool {
    listed.iter().any(|known| words.iter().any(|word| known.eq_ignore_ascii_case(word)))
}
