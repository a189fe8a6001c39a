//! Documents of the open conversation: commands, and their list.

use hauspost_core::account::Transfer;
use hauspost_core::read::{DocumentKind, DocumentPage};
use hauspost_core::store::rows::file::DocumentId;
use hauspost_core::store::rows::log::LogState;
use hauspost_protocol::content::{Card, Contact};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::Person;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::command::{Command, Refusal};
use super::super::event::Effect;
use super::super::state::{Documents, Notice, Overlay, Scroll, State};
use super::super::words::fill;
use super::relay;

/// Rows of the list that are read at once.
const ROWS: u32 = 50;

/// Carries out what was typed, or says how it is written.
pub(super) fn run(state: &mut State, command: Result<Command, Refusal>, effects: &mut Vec<Effect>) {
    let Some(dialog) = &mut state.dialog else { return };
    let command = match command {
        Ok(command) => command,
        Err(refusal) => {
            let words = state.words;
            state.notice = Some(Notice::Hint(match refusal {
                Refusal::Written(usage) => fill(words.documents.usage, &[usage[words.language]]),
                Refusal::Unknown => words.documents.no_command.to_owned(),
            }));
            return;
        }
    };
    let goes_on = dialog.row.as_ref().is_none_or(|row| row.state == LogState::Active);
    let says = !matches!(command, Command::Save(..) | Command::Open(_) | Command::Stop);
    if says && !goes_on {
        state.notice = Some(Notice::Hint(state.words.not_here.to_owned()));
        return;
    }
    if says && dialog.is_read_only() {
        state.notice = Some(Notice::Hint(state.words.rooms.read_only.to_owned()));
        return;
    }
    let log = dialog.log;
    let command = match command {
        Command::Colleague(handle) => {
            let called = |person: &&Person| person.handle.eq_ignore_ascii_case(&handle);
            let Some(person) = state.people.all().find(called) else {
                let nobody = state.words.search_faults[0];
                state.notice = Some(Notice::Hint(fill(nobody, &[&handle])));
                return;
            };
            Command::Card(Box::new(Card::Contact(Contact::Colleague(person.user))))
        }
        other => other,
    };
    let written = dialog.composer.take().trim_end().to_owned();
    dialog.is_unsaved = false;
    dialog.is_untold = false;
    let version = dialog.draft_version;
    effects.push(match command {
        Command::File(paths, text) => {
            dialog.scroll = Scroll::Follow;
            Effect::SendFiles(log, paths, text, written)
        }
        Command::Card(card) => {
            dialog.scroll = Scroll::Follow;
            Effect::SendCard(log, card, written)
        }
        Command::Voice(path) => {
            dialog.scroll = Scroll::Follow;
            Effect::SendVoice(log, path, written)
        }
        // Is a card by now.
        Command::Colleague(_) => return,
        Command::Ask(paths, text) => {
            dialog.scroll = Scroll::Follow;
            Effect::Ask(log, paths, text, written)
        }
        Command::Announce(rooms, text) => Effect::Announce(log, rooms, text, written),
        Command::Picture(path) => Effect::SetPicture(log, path),
        Command::Save(number, folder) => Effect::SaveNth(log, number, folder),
        Command::Open(number) => Effect::OpenNth(log, number),
        Command::Stop => Effect::StopAll(log),
        Command::Alarm(text) => {
            dialog.scroll = Scroll::Follow;
            Effect::SendAlarm(log, text, written)
        }
        Command::Company => Effect::LoadCompany,
        Command::Quiet(plan) => Effect::SetQuiet(plan),
        Command::Receipts(sent) => Effect::Withhold(!sent),
        Command::Trace(trace, shown) => Effect::WithholdTrace(trace, !shown),
        Command::Bell(on) => Effect::SetBell(on),
    });
    effects.push(Effect::SaveDraft(log, None, version));
}

/// Shows the documents of the open conversation.
pub(super) fn show(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(dialog) = &state.dialog else {
        state.notice = Some(Notice::Hint(state.words.open_first.to_owned()));
        return;
    };
    let (log, kind) = (dialog.log, DocumentKind::All);
    effects.push(load(log, kind));
    let documents = Documents { log, kind, rows: Vec::new(), next: None, selected: 0 };
    state.overlay = Some(Overlay::Documents(documents));
}

fn load(log: LogId, kind: DocumentKind) -> Effect {
    Effect::LoadDocuments(log, kind, None, ROWS)
}

/// What to read again when the conversation changed.
pub(super) fn again(documents: &Documents) -> Effect {
    let rows = u32::try_from(documents.rows.len()).unwrap_or(u32::MAX);
    let limit = rows.max(ROWS);
    Effect::LoadDocuments(documents.log, documents.kind, None, limit)
}

pub(super) fn key(
    state: &mut State,
    mut documents: Documents,
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    let last = documents.rows.len().saturating_sub(1);
    let bar = documents.rows.get(documents.selected);
    let document = bar.map(|row| DocumentId {
        log: documents.log,
        message_id: row.message_id,
        position: row.file.position,
    });
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => {
            documents.selected = documents.selected.saturating_sub(1);
        }
        KeyCode::Down | KeyCode::Char('j') => {
            documents.selected = (documents.selected + 1).min(last);
            if documents.selected == last
                && let Some(before) = documents.next.take()
            {
                let (log, kind) = (documents.log, documents.kind);
                effects.push(Effect::LoadDocuments(log, kind, Some(before), ROWS));
            }
        }
        KeyCode::Enter | KeyCode::Char('s') => effects.extend(document.map(Effect::Save)),
        KeyCode::Char('o') => effects.extend(document.map(Effect::Open)),
        KeyCode::Char('x') => effects.extend(document.map(Effect::Stop)),
        KeyCode::Tab => {
            documents.kind = match documents.kind {
                DocumentKind::All => DocumentKind::Pictures,
                DocumentKind::Pictures => DocumentKind::Files,
                DocumentKind::Files => DocumentKind::All,
            };
            (documents.rows, documents.next, documents.selected) = (Vec::new(), None, 0);
            effects.push(load(documents.log, documents.kind));
        }
        _ => {}
    }
    state.overlay = Some(Overlay::Documents(documents));
}

/// A part of the list, and whether it goes on after what was read.
pub(super) fn listed(
    state: &mut State,
    (log, kind): (LogId, DocumentKind),
    page: DocumentPage,
    more: bool,
) {
    let Some(Overlay::Documents(documents)) = &mut state.overlay else { return };
    if (documents.log, documents.kind) != (log, kind) {
        return;
    }
    if !more {
        documents.rows.clear();
    }
    documents.rows.extend(page.rows);
    documents.next = page.next;
    documents.selected = documents.selected.min(documents.rows.len().saturating_sub(1));
}

pub(super) fn transfers(state: &mut State, transfers: Vec<Transfer>) {
    let transfers = transfers.into_iter().map(|transfer| (transfer.document, transfer));
    state.transfers = transfers.collect();
    relay(state);
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::PathBuf;

    use hauspost_core::account::TransferState;
    use hauspost_core::read::DocumentRow;
    use hauspost_core::store::rows::file::ShownFile;
    use hauspost_core::store::rows::message::{Message, MessageKind, MessageState};
    use hauspost_protocol::ids::{MessageId, Seq};
    use hauspost_protocol::statement::FileRole;

    use super::super::super::event::Event;
    use super::super::super::fixture::{BEN, Client, LOG, NOON, own, room};
    use super::*;

    fn file(position: u32, name: &str) -> ShownFile {
        ShownFile {
            position,
            name: name.to_owned(),
            media_type: "application/pdf".to_owned(),
            size: 2_000_000,
            role: FileRole::Original,
            is_here: position == 1,
            pages: None,
            preview: None,
        }
    }

    /// A client in a dialog with one message of three documents, the last a preview.
    fn open() -> Client {
        let mut client = Client::new(vec![room(9, "Baustelle")]);
        client.press(KeyCode::Enter);
        let preview = ShownFile { role: FileRole::Preview, ..file(2, "klein.png") };
        let files = vec![file(0, "Rechnung\u{202e}.pdf"), file(1, "Lager.pdf"), preview];
        let said = own(4, "Rechnung\u{202e}.pdf", MessageState::Queued);
        client.page(vec![Message { kind: MessageKind::File, files, ..said }]);
        client.wanted();
        client
    }

    fn transfer(position: u32, is_upload: bool, done: u64) -> Transfer {
        let document = DocumentId { log: LOG, message_id: MessageId([4; 32]), position };
        let state = TransferState::Running;
        Transfer { document, is_upload, state, done, total: 200 }
    }

    #[test]
    fn files_are_sent_by_a_command_and_a_command_that_is_wrong_stays_to_be_mended() {
        let mut client = open();
        client.types("/file \"a b.pdf\" c.png -- bitte prüfen");
        client.press(KeyCode::Enter);
        let paths = vec![PathBuf::from("a b.pdf"), PathBuf::from("c.png")];
        let written = "/file \"a b.pdf\" c.png -- bitte prüfen".to_owned();
        let sent = Effect::SendFiles(LOG, paths, "bitte prüfen".to_owned(), written.clone());
        assert_eq!(client.wanted(), [sent, Effect::SaveDraft(LOG, None, 0)]);
        client.hear(Event::NotSent(LOG, written, "document-unreadable"));
        assert!(client.shows("/file \"a b.pdf\" c.png"), "to be typed again");
        assert!(client.shows("a file cannot be read"));
        let written = "/file a.pdf bitte\u{1b}[2J".to_owned();
        client.hear(Event::NoFile(LOG, written.clone(), PathBuf::from("bitte\u{1b}[2J")));
        assert!(client.shows("/file \"a b.pdf\" c.png"), "what stands there stays");
        assert!(client.shows("bitte␛[2J is no file that can be read; a text stands behind --"));

        let mut client = open();
        client.types("/file");
        client.press(KeyCode::Enter);
        assert_eq!(client.wanted(), []);
        assert!(client.shows("written like this: /file PATH") && client.shows("› /file"));
    }

    #[test]
    fn commands_save_open_and_give_up() {
        let mut client = open();
        for (typed, expected) in [
            ("/save 2 /tmp", Effect::SaveNth(LOG, 2, Some(PathBuf::from("/tmp")))),
            ("/open", Effect::OpenNth(LOG, 1)),
            ("/stop", Effect::StopAll(LOG)),
        ] {
            client.types(typed);
            client.press(KeyCode::Enter);
            assert_eq!(client.wanted()[0], expected);
        }
        client.hear(Event::Saved(PathBuf::from("/tmp/a\u{1b}[2J.pdf")));
        assert!(client.shows("saved: /tmp/a␛[2J.pdf"));
        client.hear(Event::NotSaved(PathBuf::from("/nowhere\u{1b}"), ErrorKind::NotFound));
        assert!(client.shows("not saved: there is no folder /nowhere␛"));
        client.hear(Event::Stopped(0));
        assert!(client.shows("nothing is under way"));
        client.hear(Event::Failed("document-blocked"));
        assert!(client.shows("this kind of document is not opened"));
    }

    #[test]
    fn each_document_is_shown_with_its_size_and_how_far_it_is_and_previews_are_not() {
        let mut client = open();
        assert!(
            client.shows("▪ Rechnung\u{fffd}.pdf (2.0 MB)")
                && client.shows("▪ Lager.pdf (2.0 MB, here)")
        );
        assert!(!client.shows("klein.png"));
        client.hear(Event::Transfers(vec![transfer(0, true, 86), transfer(1, false, 200)]));
        assert!(client.shows("Rechnung\u{fffd}.pdf (2.0 MB, ↑ 43 %)"));
        assert!(client.shows("Lager.pdf (2.0 MB, ↓ 100 %)"));
        let held = Transfer { state: TransferState::Held, ..transfer(0, true, 0) };
        client.hear(Event::Transfers(vec![held]));
        assert!(client.shows("Rechnung\u{fffd}.pdf (2.0 MB, waits for"));
        assert!(client.shows("Lager.pdf (2.0 MB, here)"));
    }

    #[test]
    fn the_list_saves_opens_and_gives_up_what_the_bar_is_on() {
        let mut client = open();
        client.press(KeyCode::F(7));
        assert_eq!(client.wanted(), [Effect::LoadDocuments(LOG, DocumentKind::All, None, 50)]);
        let row = |seq: u64, name: &str| DocumentRow {
            key: seq as i64,
            seq: Some(Seq(seq)),
            message_id: MessageId([seq as u8; 32]),
            author: BEN,
            t_ms: NOON,
            file: file(0, name),
        };
        let rows = vec![row(7, "neu.pdf"), row(4, "alt\u{1b}.pdf")];
        let page = DocumentPage { rows, next: Some(4) };
        client.hear(Event::Documents(LOG, DocumentKind::All, page, false));
        assert!(
            client.shows("1 neu.pdf") && client.shows("2 alt␛.pdf") && client.shows("Ben Kaya")
        );
        client.press(KeyCode::Down);
        let more = Effect::LoadDocuments(LOG, DocumentKind::All, Some(4), 50);
        assert_eq!(client.wanted(), [more]);
        let which = DocumentId { log: LOG, message_id: MessageId([4; 32]), position: 0 };
        for (key, expected) in [
            (KeyCode::Enter, Effect::Save(which)),
            (KeyCode::Char('o'), Effect::Open(which)),
            (KeyCode::Char('x'), Effect::Stop(which)),
        ] {
            client.press(key);
            assert_eq!(client.wanted(), [expected]);
        }
        client.press(KeyCode::Tab);
        let pictures = Effect::LoadDocuments(LOG, DocumentKind::Pictures, None, 50);
        assert_eq!(client.wanted(), [pictures]);
        // An answer to what is not shown any more changes nothing.
        let late = DocumentPage { rows: vec![row(7, "spät.pdf")], next: None };
        client.hear(Event::Documents(LOG, DocumentKind::All, late, false));
        assert!(client.shows("no documents") && !client.shows("spät.pdf"));
        client.press(KeyCode::Esc);
        assert!(client.shows("▪ Lager.pdf"));
    }
}
