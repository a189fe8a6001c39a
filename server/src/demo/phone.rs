//! A phone of the story: the core as an app runs it, with its own encrypted database in a folder of
//! its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hauspost_core::account::{Account, Attachment};
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::env::{Env, FileKeyStore};
use hauspost_core::observe::Observer;
use hauspost_core::read::{SearchQuery, Window};
use hauspost_core::store::rows::message::{Fate, Message, MessageKind, Quote, ShownCard};
use hauspost_core::store::rows::preview::PreviewState;
use hauspost_core::sync::Https;
use hauspost_protocol::content::{Card, Choice, Poll};
use hauspost_protocol::ids::{LogId, MessageId, UserId};

use super::DemoError;
use crate::sound;

/// How long a step may take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(300);
/// Lines of a page; the story's dialogs are shorter.
const PAGE: u32 = 100;

/// A conversation.
pub type Room = LogId;

/// A line of a dialog as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The author's first name.
    pub author: String,
    /// What it says.
    pub text: String,
    /// What is shown beside it: what it answers, that it was changed, reactions.
    pub notes: String,
}

/// One person's phone.
pub struct Phone {
    handle: String,
    folder: PathBuf,
    env: Env,
    account: Option<Account>,
    user: UserId,
}

impl Phone {
    /// Enrols a new phone by its invitation, and lets it work by itself.
    pub async fn enrol(handle: &str, folder: PathBuf, invitation: &str) -> Result<Self, DemoError> {
        let randomness = Arc::new(SystemRandomness);
        std::fs::create_dir_all(&folder).map_err(DemoError::Stage)?;
        let env = Env {
            clock: Arc::new(SystemClock),
            key_store: Arc::new(FileKeyStore::new(folder.join("keystore"), randomness.clone())),
            randomness,
            network: Arc::new(Https),
        };
        let account = Account::enrol(&folder, invitation, env.clone())
            .await
            .map_err(|error| failed(handle, &error))?;
        account.start();
        let user = account.user();
        Ok(Self { handle: handle.to_owned(), folder, env, account: Some(account), user })
    }

    /// Switches the phone off.
    pub async fn close(&mut self) {
        if let Some(account) = self.account.take() {
            account.suspend().await;
        }
    }

    /// Switches the phone on again.
    pub async fn open(&mut self) -> Result<(), DemoError> {
        let account = Account::open(&self.folder, self.env.clone()).await;
        let account = account.map_err(|error| self.failed(&error))?;
        account.start();
        self.account = Some(account);
        Ok(())
    }

    /// The dialog with another person.
    pub async fn talk_to(&self, other: &Phone) -> Result<Room, DemoError> {
        self.account()?.create_dm(other.user).await.map_err(|error| self.failed(&error))
    }

    /// A group with others.
    pub async fn gather(&self, title: &str, others: &[&Phone]) -> Result<Room, DemoError> {
        let users = others.iter().map(|phone| phone.user).collect();
        let created = self.account()?.create_group(Some(title), users).await;
        created.map_err(|error| self.failed(&error))
    }

    /// Writes a text.
    pub async fn write(&self, room: Room, text: &str) -> Result<(), DemoError> {
        let sent = self.account()?.send_text(room, text).await;
        sent.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// Sends a document under its own name.
    pub async fn send(&self, room: Room, source: &Path, media_type: &str) -> Result<(), DemoError> {
        let name = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let sent = self.account()?.send_file(room, source, name, media_type, "").await;
        sent.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// The bytes of the document with this name, fetched and opened on the phone.
    pub async fn document(&self, room: Room, name: &str) -> Result<Vec<u8>, DemoError> {
        let account = self.account()?;
        let page = account.timeline(room, Window::Newest, PAGE).await;
        let page = page.map_err(|error| self.failed(&error))?;
        let is_it = |row: &&Message| row.files.iter().any(|file| file.name == name);
        let row = page.rows.iter().find(is_it).ok_or_else(|| {
            DemoError::DoesNotHold(format!("{}'s phone shows the document {name}", self.handle))
        })?;
        let opened = account.open_file(room, row.message_id, 0).await;
        let opened = opened.map_err(|error| self.failed(&error))?;
        std::fs::read(opened).map_err(DemoError::Stage)
    }

    /// Sends a recording as a voice message.
    pub async fn speak(&self, room: Room, source: &Path) -> Result<(), DemoError> {
        let voice = sound::heard(source).unwrap_or_default();
        let sent = self.account()?.send_voice(room, Attachment::path(source), &voice, None).await;
        sent.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// How a voice message stands in the dialog.
    pub async fn spoken(&self, room: Room, name: &str) -> Result<String, DemoError> {
        let voice = self.message(room, name).await?.voice.unwrap_or_default();
        let length = voice.duration_ms().map(sound::length).unwrap_or_default();
        Ok(format!("▶ {length} {}", sound::waveform(voice.waveform())))
    }

    /// Waits until the phone shows a preview of the document with this name.
    pub async fn wait_for_preview(&self, room: Room, name: &str) -> Result<(), DemoError> {
        let shows = async |phone: &Self| {
            let row = phone.message(room, name).await?;
            Ok(row.files.iter().any(|file| file.preview == Some(PreviewState::Here)))
        };
        self.wait(shows, &format!("{}'s phone shows a preview of {name}", self.handle)).await
    }

    /// Asks everybody in a conversation.
    pub async fn ask(&self, room: Room, question: &str, of: &[&str]) -> Result<(), DemoError> {
        let options = of.iter().map(|option| (*option).to_owned()).collect();
        let poll = Poll::new(question.to_owned(), options, 1);
        let poll = Card::Poll(poll.map_err(|error| self.failed(&error))?);
        let sent = self.account()?.send_card(room, &poll, None).await;
        sent.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// Chooses an option, counted from 0, of the poll with this question.
    pub async fn vote(&self, room: Room, question: &str, option: usize) -> Result<(), DemoError> {
        let Some((message, _)) = self.poll(room, question).await? else {
            return Err(DemoError::DoesNotHold(format!("{}'s phone has the poll", self.handle)));
        };
        let choice = Choice::of([option]).unwrap_or_default();
        self.account()?.vote(room, message, choice).await.map_err(|error| self.failed(&error))
    }

    /// Waits until the poll with this question stands so on the phone.
    pub async fn wait_for_poll(
        &self,
        room: Room,
        question: &str,
        stands: &str,
    ) -> Result<(), DemoError> {
        let so = async |phone: &Self| {
            let poll = phone.poll(room, question).await?;
            Ok(poll.is_some_and(|(_, found)| found == stands))
        };
        self.wait(so, &format!("{}'s phone shows “{stands}”", self.handle)).await
    }

    async fn poll(
        &self,
        room: Room,
        question: &str,
    ) -> Result<Option<(MessageId, String)>, DemoError> {
        let account = self.account()?;
        let page = account.timeline(room, Window::Newest, PAGE).await;
        let page = page.map_err(|error| self.failed(&error))?;
        let asked = page.rows.into_iter().find_map(|row| match row.card {
            Some(ShownCard { card: Card::Poll(poll), votes }) if poll.question() == question => {
                Some((row.message_id, poll, votes.unwrap_or_default()))
            }
            _ => None,
        });
        Ok(asked.map(|(message, poll, votes)| {
            let counts = poll.options().iter().enumerate();
            let counts = counts.map(|(at, option)| format!("{option} {}", votes.count(at)));
            (message, counts.collect::<Vec<_>>().join(", "))
        }))
    }

    /// Waits until the phone shows this text.
    pub async fn wait_for(&self, room: Room, text: &str) -> Result<(), DemoError> {
        let shows = async |phone: &Self| phone.has(room, text).await;
        self.wait(shows, &format!("{}'s phone shows “{text}”", self.handle)).await
    }

    /// Waits until the phone shows the same lines as another, in the same order and by the same names.
    pub async fn wait_for_the_lines_of(&self, other: &Self, room: Room) -> Result<(), DemoError> {
        let theirs = other.lines(room).await?;
        let same = async |phone: &Self| Ok(phone.lines(room).await? == theirs);
        let claim = format!("{}'s and {}'s phone show the same lines", self.handle, other.handle);
        self.wait(same, &claim).await
    }

    /// Waits until the phone knows that the company cut it off.
    pub async fn wait_until_cut_off(&self) -> Result<(), DemoError> {
        let revoked = async |phone: &Self| {
            let revoked = phone.account()?.is_revoked().await;
            revoked.map_err(|error| phone.failed(&error))
        };
        self.wait(revoked, &format!("{}'s phone says that it was cut off", self.handle)).await
    }

    async fn wait(
        &self,
        holds: impl AsyncFn(&Self) -> Result<bool, DemoError>,
        claim: &str,
    ) -> Result<(), DemoError> {
        let changes: Observer = self.account()?.observe();
        let waiting = async {
            while !holds(self).await? {
                if changes.next().await.is_none() {
                    break;
                }
            }
            Ok(())
        };
        let late = || DemoError::DoesNotHold(format!("{claim} within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| late())?
    }

    /// Whether the phone shows this text.
    pub async fn has(&self, room: Room, text: &str) -> Result<bool, DemoError> {
        let known =
            self.account()?.conversation(room).await.map_err(|error| self.failed(&error))?;
        Ok(known.is_some() && self.lines(room).await?.iter().any(|line| line.text == text))
    }

    /// The texts of a dialog, oldest first.
    pub async fn lines(&self, room: Room) -> Result<Vec<Line>, DemoError> {
        let account = self.account()?;
        let page = account.timeline(room, Window::Newest, PAGE).await;
        let page = page.map_err(|error| self.failed(&error))?;
        let people = account.people(PAGE).await.map_err(|error| self.failed(&error))?;
        let names: BTreeMap<_, _> =
            people.into_iter().map(|person| (person.user, person.name)).collect();
        let texts = page
            .rows
            .into_iter()
            .filter(|row| matches!(row.kind, MessageKind::Text | MessageKind::File));
        Ok(texts
            .map(|row| {
                let name = names.get(&row.author).cloned().flatten().unwrap_or_default();
                let first = name.split(' ').next().unwrap_or_default().to_owned();
                let mut notes = String::new();
                if let Some(Quote::Known { text: Some(text), .. }) = &row.quote {
                    notes.push_str(&format!("  ↩ „{text}“"));
                }
                if row.fate == Fate::Edited {
                    notes.push_str("  (geändert)");
                }
                for tally in &row.reactions {
                    notes.push_str(&format!("  {} {}", tally.emoji, tally.count));
                }
                Line { author: first, text: row.text.unwrap_or_default(), notes }
            })
            .collect())
    }

    /// Answers the message with this text.
    pub async fn answer(&self, room: Room, to: &str, text: &str) -> Result<(), DemoError> {
        let to = self.message(room, to).await?.message_id;
        let sent = self.account()?.send_typed(room, text, Some(to)).await;
        sent.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// Reacts to the message with this text.
    pub async fn react(&self, room: Room, to: &str, emoji: &str) -> Result<(), DemoError> {
        let to = self.message(room, to).await?.message_id;
        self.account()?.react(room, to, emoji).await.map_err(|error| self.failed(&error))
    }

    /// Changes the message with this text, and gives what it says in each version.
    pub async fn change(&self, room: Room, from: &str, to: &str) -> Result<(), DemoError> {
        let message = self.message(room, from).await?.message_id;
        self.account()?.edit_typed(room, message, to).await.map_err(|error| self.failed(&error))
    }

    /// How many versions of the message with this text the phone can show.
    pub async fn versions(&self, room: Room, text: &str) -> Result<usize, DemoError> {
        let message = self.message(room, text).await?.message_id;
        let versions = self.account()?.versions(room, message).await;
        Ok(versions.map_err(|error| self.failed(&error))?.len())
    }

    async fn message(&self, room: Room, text: &str) -> Result<Message, DemoError> {
        let page = self.account()?.timeline(room, Window::Newest, PAGE).await;
        let mut rows = page.map_err(|error| self.failed(&error))?.rows.into_iter();
        let row = rows.find(|row| row.text.as_deref() == Some(text));
        row.ok_or_else(|| DemoError::DoesNotHold(format!("{}'s phone has “{text}”", self.handle)))
    }

    /// The texts that a search finds, newest first.
    pub async fn search(&self, words: &str) -> Result<Vec<String>, DemoError> {
        let page = self.account()?.search(SearchQuery::words(words), None, PAGE).await;
        let page = page.map_err(|error| self.failed(&error))?;
        let whole = |parts: Vec<hauspost_core::read::SnippetPart>| {
            parts.into_iter().map(|part| part.text).collect::<String>()
        };
        Ok(page.hits.into_iter().map(|hit| whole(hit.snippet)).collect())
    }

    /// The place in a document where a search finds these words, on its newest hit.
    pub async fn search_documents(&self, words: &str) -> Result<Option<String>, DemoError> {
        let account = self.account()?;
        account.inspect_documents().await.map_err(|error| self.failed(&error))?;
        let wanted = SearchQuery { has_document: true, ..SearchQuery::words(words) };
        let page = account.search(wanted, None, 1).await.map_err(|error| self.failed(&error))?;
        let document = page.hits.into_iter().next().and_then(|hit| hit.document);
        Ok(document.map(|document| document.inside.into_iter().map(|part| part.text).collect()))
    }

    /// How many messages of a dialog were not read.
    pub async fn unread(&self, room: Room) -> Result<u64, DemoError> {
        let row = self.account()?.conversation(room).await.map_err(|error| self.failed(&error))?;
        Ok(row.map_or(0, |row| row.unread))
    }

    fn account(&self) -> Result<&Account, DemoError> {
        self.account
            .as_ref()
            .ok_or_else(|| DemoError::DoesNotHold(format!("{}'s phone is on", self.handle)))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> DemoError {
        failed(&self.handle, error)
    }
}

fn failed(handle: &str, error: &dyn std::fmt::Display) -> DemoError {
    DemoError::Phone { whose: format!("{handle}'s"), error: error.to_string() }
}
