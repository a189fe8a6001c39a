//! docs/protocol.md §6, "Own state": every form, alone and together.

use hauspost_protocol::content::{FOR_EVER, OwnFact, OwnSaid, OwnState};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::{MessageId, Seq};
use serde_json::{Value, json};

use super::{LOG, fields, hex};

/// The file `own.json`.
pub fn own() -> Value {
    let facts = [
        OwnFact::Read { log: LOG, below: Seq(0) },
        OwnFact::Read { log: LOG, below: Seq(1_000) },
        OwnFact::Draft {
            log: LOG, text: Some("Bin gleich in der Straße 5".into()), based: Seq(7)
        },
        OwnFact::Draft { log: LOG, text: None, based: Seq(0) },
        OwnFact::Muted { log: LOG, until_ms: FOR_EVER },
        OwnFact::Muted { log: LOG, until_ms: 0 },
        OwnFact::Starred { log: LOG, message: MessageId([1; 32]), at_ms: 1_795_000_000_000 },
        OwnFact::Archived { log: LOG, archived: true },
        OwnFact::Favourite { log: LOG, rank: Some(1 << 20) },
        OwnFact::Favourite { log: LOG, rank: None },
        OwnFact::Setting { name: "quiet".into(), value: Some(b"\x01".as_slice().into()) },
        OwnFact::Setting { name: "quiet".into(), value: None },
    ];
    let said = facts.iter().enumerate().map(|(at, fact)| OwnSaid {
        fact: fact.clone(),
        place: (at % 2 == 1).then(|| Seq(at as u64 - 1)),
    });
    let state = OwnState { said: said.collect(), asks: true };
    let state = state.to_bytes().expect("within the limits");
    let bytes: Vec<_> = facts.iter().map(encode).collect();
    // Each of two about the same, at these places, and whether the first holds.
    let two = [(0, 9, 1, 2), (4, 5, 5, 5), (5, 6, 4, 5), (8, 3, 9, 4), (2, 8, 3, 7)];
    let against = two.map(|(one, place, other, at)| {
        let holds = facts[one].holds_against(Seq(place), &facts[other], Seq(at));
        json!({ "one": one, "place": place, "other": other, "at": at, "holds": holds })
    });
    json!({
        "facts": bytes.iter().map(|bytes| json!({ "fields": fields(bytes), "bytes": hex(bytes) }))
            .collect::<Vec<_>>(),
        "content": { "fields": fields(&state), "bytes": hex(&state) },
        "against": against,
    })
}
