use std::path::PathBuf;

use hauspost_core::account::Standing;
use hauspost_core::read::{Confirmed, Confirming};
use hauspost_core::store::rows::confirmation::Asking;
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::{Event as Happened, Message, MessageKind, MessageState};
use hauspost_protocol::body::LogType;
use hauspost_protocol::ids::{DeviceId, MessageId, Seq};

use super::super::super::event::{Event, Mark};
use super::super::super::fixture::{BEN, Client, LOG, ME, NOON, own, room, row};
use super::*;

const READER: Standing =
    Standing { is_member: true, is_owner: false, may_write: false, may_add: false };
const OWNER: Standing =
    Standing { is_member: true, is_owner: true, may_write: true, may_add: true };

fn asking(is_due: bool) -> Asking {
    Asking { asked: 5, confirmed: 2, is_due, is_mine: !is_due, is_waiting: false }
}

fn opened(rows: Vec<Message>, standing: Standing) -> Client {
    let listed = hauspost_core::read::ConversationRow {
        r#type: LogType::Announce,
        state: LogState::Active,
        to_confirm: 1,
        ..room(9, "Sicherheit")
    };
    let mut client = Client::new(vec![listed]);
    client.hear(Event::Begun(LOG));
    client.hear(Event::Standing(LOG, standing));
    client.page(rows);
    client.wanted();
    client
}

#[test]
fn who_only_reads_announcements_sees_why_and_confirms_by_one_key() {
    let mut asks = row(1, "Helme tragen");
    asks.asking = Some(asking(true));
    let mut client = opened(vec![asks], READER);
    assert!(client.shows("only owners write here") && client.shows("please confirm"));
    assert!(!client.shows("2 of 5"), "how many have is for the author and the owners");
    client.types("aber");
    client.press(KeyCode::Enter);
    assert!(client.wanted().iter().all(|effect| !matches!(effect, Effect::Send(..))));
    client.press(KeyCode::F(8));
    client.press(KeyCode::Char('c'));
    assert_eq!(client.wanted(), [Effect::Mark(LOG, MessageId([1; 32]), Mark::Confirm)]);
}

#[test]
fn a_message_to_be_confirmed_is_written_behind_a_slash_and_counts_for_its_author() {
    let mut asks = own(1, "Helme tragen", MessageState::Sent);
    asks.asking = Some(Asking { is_mine: false, ..asking(false) });
    let mut client = opened(vec![asks], OWNER);
    assert!(client.shows("2 of 5 confirmed"));
    client.types("/ask Bitte lesen");
    client.press(KeyCode::Enter);
    let written = "/ask Bitte lesen".to_owned();
    let sent = Effect::Ask(LOG, Vec::new(), "Bitte lesen".to_owned(), written);
    assert_eq!(client.wanted()[0], sent);
    client.types("/picture bild.png");
    client.press(KeyCode::Enter);
    assert_eq!(client.wanted()[0], Effect::SetPicture(LOG, Some(PathBuf::from("bild.png"))));
}

#[test]
fn the_list_shows_who_has_confirmed_and_reminds_and_exports() {
    let mut asks = own(1, "Helme tragen", MessageState::Sent);
    asks.asking = Some(asking(false));
    let mut client = opened(vec![asks], OWNER);
    client.press(KeyCode::F(8));
    client.press(KeyCode::Char('l'));
    let id = MessageId([1; 32]);
    assert_eq!(client.wanted(), [Effect::LoadConfirmations(LOG, id)]);
    let person = |byte, name: &str, was_asked, confirmed| Confirming {
        user: UserId([byte; 16]),
        name: Some(name.to_owned()),
        was_asked,
        is_here: true,
        confirmed,
        place: (LOG, id, Some(Seq(1))),
    };
    let confirmed = Confirmed {
        seq: Some(Seq(7)),
        t_ms: NOON,
        sent_ms: NOON,
        device: DeviceId([3; 16]),
        before_change: false,
    };
    let people = vec![
        person(2, "Ben", true, None),
        person(8, "Dora\u{1b}[2J", false, None),
        person(7, "Carla", true, Some(confirmed)),
    ];
    let (seq, author, t_ms) = (Some(Seq(1)), ME, NOON);
    let list = Confirmations { log: LOG, message_id: id, seq, author, t_ms, people };
    client.hear(Event::Confirmations(Box::new(list)));
    assert!(client.shows("Confirmed: 1 of 2") && client.shows("came later, not yet"));
    assert!(client.shows("Ben Kaya") && client.shows("12:00"));
    client.press(KeyCode::Char('r'));
    client.press(KeyCode::Char('e'));
    let remind = client.state.words.rooms.remind;
    let wanted = [Effect::Remind(LOG, id, remind), Effect::ExportConfirmations(LOG, id)];
    assert_eq!(client.wanted(), wanted);
}

#[test]
fn a_room_for_announcements_is_begun_with_or_without_its_past() {
    let mut client = Client::new(Vec::new());
    client.press(KeyCode::F(4));
    client.types("Aushang");
    assert!(client.shows("everybody writes") && client.shows("sees nothing from before"));
    client.press(KeyCode::Tab);
    client.press(KeyCode::Down);
    assert!(client.shows("only owners write") && client.shows("what was said before"));
    client.press(KeyCode::Enter);
    client.types("ben");
    client.press(KeyCode::Enter);
    let room = NewRoom {
        title: Some("Aushang".to_owned()),
        people: vec![BEN],
        announces: true,
        history: HistoryRule::Members,
    };
    assert_eq!(client.wanted().last(), Some(&Effect::CreateRoom(room)));
}

#[test]
fn owners_stand_first_are_made_by_one_key_and_withdrawn_after_a_question() {
    let mut client = opened(Vec::new(), OWNER);
    client.press(KeyCode::F(5));
    client.wanted();
    client.hear(Event::Members(LOG, vec![(ME, Role::Member), (BEN, Role::Owner)]));
    assert!(client.shows("Ben Kaya · owner"));
    client.press(KeyCode::Char('o'));
    assert!(client.shows("Let Ben Kaya be no owner any more?"));
    client.press(KeyCode::Char('y'));
    assert_eq!(client.wanted(), [Effect::SetOwner(LOG, BEN, false)]);
    client.press(KeyCode::F(5));
    client.hear(Event::Members(LOG, vec![(ME, Role::Owner), (BEN, Role::Member)]));
    client.press(KeyCode::Down);
    client.wanted();
    client.press(KeyCode::Char('o'));
    assert_eq!(client.wanted(), [Effect::SetOwner(LOG, BEN, true)]);
}

#[test]
fn a_picture_is_drawn_in_half_blocks_and_without_one_a_room_has_its_initials() {
    let mut client = opened(Vec::new(), OWNER);
    client.press(KeyCode::F(5));
    assert!(client.wanted().contains(&Effect::LoadPicture(LOG)));
    client.hear(Event::Members(LOG, vec![(ME, Role::Owner), (BEN, Role::Member)]));
    assert!(client.shows("   S"), "{:#?}", client.screen());
    client.hear(Event::Picture(LOG, Some(vec![vec![[1, 2, 3]; 12]; 12])));
    assert!(client.shows(&"▀".repeat(12)) && client.shows("Anna Berg"));
}

#[test]
fn what_happens_to_a_room_stands_in_its_dialog() {
    let happened = |seq: u64, event: Happened| Message {
        kind: MessageKind::Event,
        text: None,
        content: event.to_content(),
        ..row(seq, "")
    };
    let mut client = opened(
        vec![
            happened(1, Happened::Titled("Lager\u{202e}".to_owned())),
            happened(2, Happened::Owner(ME)),
            happened(3, Happened::NoOwner(ME)),
            happened(4, Happened::Pictured(true)),
            happened(5, Happened::Pictured(false)),
        ],
        OWNER,
    );
    client.hear(Event::Resize(160, 24));
    for line in [
        // What would turn the line around is shown as what it is.
        "Ben Kaya called this conversation “Lager\u{fffd}”",
        "Ben Kaya made you an owner",
        "Ben Kaya ended this ownership: you",
        "Ben Kaya changed the picture",
        "Ben Kaya took the picture away",
    ] {
        assert!(client.shows(line), "{line}: {:#?}", client.screen());
    }
}
