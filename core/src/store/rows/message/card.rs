//! What a message shows besides its text.

use hauspost_protocol::content::{self, Act, Card, Contact, Poll, TextForm, Voice};
use hauspost_protocol::ids::{CompanyId, MessageId, UserId};
use hauspost_protocol::statement::FileRole;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Message, MessageKind, NewMessage};
use crate::format;
use crate::store::StoreError;
use crate::store::cell::{C, cell};
use crate::store::rows::log::LocalLog;
use crate::store::rows::person;
use crate::store::rows::poll::{self, Votes};

/// A card as a timeline shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCard {
    /// The card.
    pub card: Card,
    /// How it stands, if it is a poll.
    pub votes: Option<Votes>,
}

impl MessageKind {
    /// What a message with this card is.
    pub(crate) fn of(card: &Card) -> Self {
        match card {
            Card::Place(_) => Self::Place,
            Card::Contact(_) => Self::Contact,
            Card::Poll(_) => Self::Poll,
        }
    }

    /// Whether it shows a card.
    pub(crate) fn is_card(self) -> bool {
        matches!(self, Self::Place | Self::Contact | Self::Poll)
    }
}

/// The card of a message, and how it stands.
pub(crate) fn shown(
    conn: &Connection,
    log: i64,
    message: &Message,
) -> Result<Option<ShownCard>, StoreError> {
    let Some(card) = card(conn, message)? else { return Ok(None) };
    let votes = match card {
        Card::Poll(_) => Some(poll::votes(conn, log, message.message_id)?),
        _ => None,
    };
    Ok(Some(ShownCard { card, votes }))
}

/// The card of a message.
pub(crate) fn card(conn: &Connection, message: &Message) -> Result<Option<Card>, StoreError> {
    match message.kind.is_card() {
        true => read(conn, message.content.as_deref()),
        false => Ok(None),
    }
}

/// What a message says of its sound, if its one document is a sound.
pub(crate) fn voice(message: &Message) -> Option<Voice> {
    let mut originals = message.files.iter().filter(|file| file.role == FileRole::Original);
    let (Some(sound), None) = (originals.next(), originals.next()) else { return None };
    if !sound.media_type.starts_with("audio/") {
        return None;
    }
    content::Message::parse(message.content.as_deref()?).ok()?.voice()
}

/// The poll of this id, and who asked.
pub(in crate::store::rows) fn poll_of(
    conn: &Connection,
    log: LocalLog,
    message_id: MessageId,
) -> Result<Option<(Poll, UserId)>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT author, content FROM message WHERE key >> 40 = ?1 AND message_id = ?2 AND kind = 8",
    )?;
    let found = select.query_row(params![log.number, C(message_id)], |row| {
        Ok((cell(row, 0)?, row.get::<_, Option<Vec<u8>>>(1)?))
    });
    let Some((author, content)) = found.optional()? else { return Ok(None) };
    Ok(match read(conn, content.as_deref())? {
        Some(Card::Poll(poll)) => Some((poll, author)),
        _ => None,
    })
}

fn read(conn: &Connection, content: Option<&[u8]>) -> Result<Option<Card>, StoreError> {
    let message = content.and_then(|content| content::Message::parse(content).ok());
    let Some(message) = message else { return Ok(None) };
    let mut select = conn.prepare_cached("SELECT company FROM account")?;
    let company: CompanyId = select
        .query_row([], |row| cell(row, 0))
        .optional()?
        .ok_or(StoreError::Missing("account"))?;
    Ok(message.card(company))
}

/// What a message is found by and shows where there is room for a line: of somebody of the company what
/// the directory calls him when it comes. Where there is room for the card, views ask the directory.
pub(super) fn words(conn: &Connection, message: &NewMessage) -> Result<Option<String>, StoreError> {
    if message.kind != MessageKind::Contact || message.text.is_some() {
        return Ok(message.text.clone());
    }
    let card = read(conn, message.content.as_deref())?;
    card.map(|card| words_of(conn, &card)).transpose()
}

/// What a card says in words.
pub(crate) fn words_of(conn: &Connection, card: &Card) -> Result<String, StoreError> {
    match (card, card.text()) {
        (Card::Contact(Contact::Colleague(user)), _) => {
            let person = person::find(conn, *user)?;
            let name = person.map(|person| person.name.unwrap_or(person.handle));
            Ok(name.unwrap_or_else(|| user.to_string()))
        }
        (_, text) => Ok(text.unwrap_or_default()),
    }
}

/// The text of a message as it was written, and as what.
pub(crate) fn as_written(
    conn: &Connection,
    message: &Message,
) -> Result<(Option<String>, Option<String>), StoreError> {
    if let Some(card) = card(conn, message)? {
        return Ok((Some(words_of(conn, &card)?), None));
    }
    let content = message.content.as_deref().unwrap_or_default();
    let Ok(written) = content::Message::parse(content) else { return Ok((None, None)) };
    Ok(match written.act() {
        Act::Write(text, TextForm::Plain) => (Some(text.to_owned()), None),
        Act::Write(text, form) => (Some(format::plain(text, form)), Some(text.to_owned())),
        _ => (None, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{enrolled, group, text};
    use crate::store::rows::file::ShownFile;
    use crate::store::rows::message;
    use crate::store::{StoreError, Tx};

    #[tokio::test]
    async fn a_voice_message_has_one_document_and_that_is_a_sound() {
        let folder = tempfile::tempdir().unwrap();
        let store = enrolled(folder.path()).await;
        let log = group(&store, 1, "Lager").await;
        let said = content::Message::text([0; 16], "").spoken(&Voice::default());
        let said = NewMessage { content: Some(said.to_bytes().unwrap()), ..text(1, "") };
        let id = said.message_id;
        let insert = move |tx: &Tx<'_>| {
            message::insert(tx, log, &said)?;
            message::find(tx, log, id)
        };
        let row = store.write::<_, StoreError, _>(insert).await.unwrap().unwrap();
        let file = |media_type: &str, role| ShownFile {
            position: 0,
            name: "a".to_owned(),
            media_type: media_type.to_owned(),
            size: 1,
            role,
            is_here: false,
            pages: None,
            preview: None,
        };
        let sound = || file("audio/ogg", FileRole::Original);
        for (files, is_voice) in [
            (vec![sound()], true),
            (vec![sound(), file("image/png", FileRole::Preview)], true),
            (vec![sound(), sound()], false),
            (vec![file("image/png", FileRole::Original)], false),
            (vec![], false),
        ] {
            let shown = voice(&Message { files, ..row.clone() });
            assert_eq!(shown.is_some(), is_voice);
        }
    }
}
