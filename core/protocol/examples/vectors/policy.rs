//! docs/protocol.md §12, policy: its parts, what a reader takes of them, and the company's clock.

use hauspost_protocol::company::body::Role;
use hauspost_protocol::company::policy::{
    Callers, CouncilPart, DocumentRule, GeneralPart, PolicyDocument, Problem, QuietPlan, QuietSpan,
    Terms, WhoMayCallAll, Zone,
};
use hauspost_protocol::encoding::{Bytes, encode};
use serde_json::{Value, json};

use super::{T_MS, USER, fields, hex};

/// The file.
pub fn policy() -> Value {
    let list = |bytes: &[u8]| Bytes::from(bytes);
    let nothing = list(&[0x80]);
    let documents: Vec<(&str, PolicyDocument)> = vec![
        ("says nothing", PolicyDocument { council: nothing.clone(), rest: nothing.clone() }),
        ("says everything by its default", PolicyDocument::of(&Terms::default())),
        ("says everything otherwise", PolicyDocument::of(&otherwise())),
        ("of a later version", PolicyDocument { council: Bytes(later()), rest: nothing.clone() }),
        (
            "with items that cannot be read, or are outside of their limits",
            PolicyDocument {
                council: Bytes(encode(&("yes".to_owned(), true, 2u64, true, None::<u64>, 400u64))),
                rest: Bytes(encode(&(None::<u64>, 0u64, 24u64, 5u64, (1u64 << 60) + 1, 7u64))),
            },
        ),
        ("whose parts are no lists", PolicyDocument { council: list(b"x"), rest: list(&[]) }),
    ];
    let clock = [Zone::utc().clone(), Zone::berlin()].map(|zone| {
        let times = [T_MS, 1_774_746_000_000, 1_792_886_400_000, 1_782_945_000_000];
        let shown = times.map(|t_ms| {
            let local = zone.local(t_ms);
            json!({
                "t_ms": t_ms, "day": local.day, "weekday": local.weekday(), "minute": local.minute,
                "quiet": plan().is_quiet(&zone, t_ms),
            })
        });
        json!({ "name": zone.name, "rule": zone.rule, "times": shown })
    });
    json!({
        "documents": documents.iter().map(|(what, document)| shown(what, document)).collect::<Vec<_>>(),
        "quiet_hours": fields(&encode(&plan())),
        "clock": clock,
    })
}

/// A council part with a ninth item.
fn later() -> Vec<u8> {
    let council = CouncilPart { typing: true, ..CouncilPart::default() }.to_bytes();
    [&[0x89], &council[1..], &encode(&"later".to_owned())].concat()
}

fn shown(what: &str, document: &PolicyDocument) -> Value {
    let bytes = encode(document);
    let terms = document.terms();
    let (council, general) = (terms.council.to_bytes(), terms.general.to_bytes());
    let faults: Vec<_> = document
        .faults()
        .into_iter()
        .map(|fault| {
            let why = match fault.problem {
                Problem::Form(_) => "form",
                Problem::Limit => "limit",
            };
            json!([fault.item, why])
        })
        .collect();
    json!({
        "what": what, "bytes": hex(&bytes), "read_council": hex(&council),
        "read_rest": hex(&general), "faults": faults,
    })
}

fn plan() -> QuietPlan {
    let nights = QuietSpan { days: 0b001_1111, from_minute: 20 * 60, to_minute: 6 * 60 };
    let weekend = QuietSpan { days: 0b110_0000, from_minute: 0, to_minute: 1_440 };
    QuietPlan(vec![nights, weekend])
}

/// Terms in which no item has its default.
fn otherwise() -> Terms {
    Terms {
        council: CouncilPart {
            handover_council: false,
            read_receipts: true,
            typing: true,
            last_seen: true,
            statistics: true,
            behaviour_days: 7,
            alarms: Callers { roles: vec![Role::Hr, Role::Council], users: vec![USER] },
            history_for_members: true,
            later: Vec::new(),
        },
        general: GeneralPart {
            documents: Some(DocumentRule {
                blocked: vec!["exe".into()],
                allowed: Some(vec!["pdf".into(), "image/jpeg".into()]),
            }),
            document_bytes: 1 << 20,
            upload_hours: 24,
            device_bytes: Some(1 << 30),
            company_bytes: Some(1 << 40),
            suite_code: Some(3),
            group_version: Some(1),
            at_all: WhoMayCallAll::Owners,
            zone: Some(Zone::berlin()),
            quiet_hours: plan(),
            queue_hours: 48,
            later: Vec::new(),
        },
    }
}
