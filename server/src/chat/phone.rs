//! The rim: effects carried out on the core's account, one after the other, and events read back.
//!
//! One task does them in the order in which they were wanted, so that an older reading never comes
//! after a newer one. None of them waits for the network: what is sent is an intent in the database, and
//! documents are fetched beside ([`documents`]).

use std::path::Path;

use hauspost_core::account::{Account, AccountError, Attachment, Trace};
use hauspost_core::file::preview::pixels;
use hauspost_core::read::{ConversationRow, Window};
use hauspost_protocol::ids::{LogId, MessageId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::event::{Effect, Event, Mark, Span};
use super::words::Withheld;
use crate::sound;

mod documents;

/// People of a directory that are read.
const PEOPLE: u32 = 20_000;
/// Rows of the list that one reading gives.
const PAGE: u32 = 500;
/// Rows of a timeline that are added at once.
const MORE: u32 = 100;
/// People who react to a message that are read.
const REACTIONS: u32 = 500;
/// Rows of alarms that are read.
const ALARMS: u32 = 100;
/// Columns and rows of a conversation's picture; a row shows two lines of it.
pub const PICTURE: (u32, u32) = (12, 6);
/// Messages of a conversation for which it rings at once.
const NOTIFICATIONS: u32 = 8;
/// Under which name it is kept that the terminal's bell does not ring.
const BELL: &str = "terminal-bell";
/// Hits of a search that are read at once.
const HITS: u32 = 50;

/// Carries out effects until nobody wants any. Each is answered by one message, empty or not.
pub async fn serve(
    account: Account,
    mut wanted: mpsc::UnboundedReceiver<Effect>,
    told: mpsc::UnboundedSender<Option<Event>>,
    later: mpsc::UnboundedSender<Event>,
) {
    // What waits for the network goes on beside; it ends with the client.
    let mut beside = JoinSet::new();
    while let Some(effect) = wanted.recv().await {
        while beside.try_join_next().is_some() {}
        let effect = match documents::beside(effect) {
            Ok(waits) => {
                beside.spawn(waits.carry_out(account.clone(), later.clone()));
                let _ = told.send(None);
                continue;
            }
            Err(effect) => *effect,
        };
        let event = match carry_out(&account, effect).await {
            Ok(event) => event,
            Err(error) => Some(Event::Failed(error.code())),
        };
        // Nobody listens any more when the client ends.
        let _ = told.send(event);
    }
}

async fn carry_out(account: &Account, effect: Effect) -> Result<Option<Event>, AccountError> {
    Ok(Some(match effect {
        Effect::LoadRooms(count) => {
            let (rows, more) = rooms(account, count).await?;
            Event::Rooms(rows, more)
        }
        Effect::LoadArchived(count) => {
            let rows = account.archived(None, count.min(PAGE)).await?;
            Event::Rooms(rows, false)
        }
        Effect::LoadRoom(log) => Event::Room(log, account.conversation(log).await?.map(Box::new)),
        Effect::LoadTimeline(log, span) => {
            let (window, limit) = match span {
                Span::Newest(limit) => (Window::Newest, limit),
                Span::Around(seq) => (Window::Around(seq), MORE),
                Span::Before(key) => (Window::Before(key), MORE),
                Span::After(key) => (Window::After(key), MORE),
                Span::Again(key, limit) => (Window::After(key - 1), limit),
            };
            Event::Timeline(log, span, account.timeline(log, window, limit).await?)
        }
        Effect::LoadPeople => Event::People(account.people(PEOPLE).await?),
        Effect::LoadMembers(log) => Event::Members(log, account.roles(log).await?),
        Effect::LoadStanding(log) => Event::Standing(log, account.standing(log).await?),
        Effect::LoadConfirmations(log, id) => {
            Event::Confirmations(Box::new(account.confirmations(log, id).await?))
        }
        Effect::Remind(log, id, text) => {
            account.remind(log, id, text).await?;
            Event::Reminded
        }
        Effect::ExportConfirmations(log, id) => {
            let list = account.confirmations(log, id).await?;
            Event::Saved(documents::write_list(&list).await?)
        }
        Effect::Ask(log, paths, text, written) => {
            if let Some(none) = documents::no_file(&paths).await {
                return Ok(Some(Event::NoFile(log, written, none)));
            }
            let attachments = paths.into_iter().map(Attachment::path).collect();
            match account.send_to_be_confirmed(log, &text, attachments).await {
                Ok(_) => return Ok(None),
                Err(error) => Event::NotSent(log, written, error.code()),
            }
        }
        Effect::Announce(log, named, text, written) => {
            match announce(account, &named, &text).await {
                Ok(()) => return Ok(None),
                Err(error) => Event::NotSent(log, written, error.code()),
            }
        }
        Effect::LoadPicture(log) => {
            let picture = account.picture(log).await?;
            let (columns, rows) = PICTURE;
            let drawn = tokio::task::spawn_blocking(move || {
                picture.and_then(|shown| pixels(&shown.picture, columns, 2 * rows))
            });
            Event::Picture(log, drawn.await.unwrap_or(None))
        }
        Effect::SetOwner(log, user, named) => {
            return account.set_owner(log, user, named).await.map(|()| None);
        }
        Effect::SetPicture(log, path) => {
            return account.set_picture(log, path.as_deref()).await.map(|()| None);
        }
        Effect::LoadFailedChanges(log) => {
            Event::FailedChanges(log, account.failed_changes(log).await?)
        }
        Effect::Search(wanted, after) => {
            let page = account.search((*wanted).clone(), after, HITS).await?;
            Event::Found(wanted, page, after.is_some())
        }
        Effect::Send(log, text) => match account.send_typed(log, &text, None).await {
            Ok(_) => return Ok(None),
            Err(error) => Event::NotSent(log, text, error.code()),
        },
        Effect::SendFiles(log, paths, text, written) => {
            if let Some(none) = documents::no_file(&paths).await {
                return Ok(Some(Event::NoFile(log, written, none)));
            }
            let attachments = paths.into_iter().map(Attachment::path).collect();
            match account.send_files(log, attachments, &text).await {
                Ok(_) => return Ok(None),
                Err(error) => Event::NotSent(log, written, error.code()),
            }
        }
        Effect::SendCard(log, card, written) => match account.send_card(log, &card, None).await {
            Ok(_) => return Ok(None),
            Err(error) => Event::NotSent(log, written, error.code()),
        },
        Effect::SendVoice(log, path, written) => match voice(account, log, &path).await {
            Ok(_) => return Ok(None),
            Err(error) => Event::NotSent(log, written, error.code()),
        },
        Effect::LoadVoters(log, id) => Event::Voters(id, account.voters(log, id, REACTIONS).await?),
        Effect::LoadDocuments(log, kind, before, limit) => {
            let page = account.documents(log, kind, before, limit).await?;
            Event::Documents(log, kind, page, before.is_some())
        }
        Effect::LoadAlarms => Event::Alarms(account.alarms(ALARMS).await?),
        Effect::AcknowledgeAlarms(up_to) => {
            return account.acknowledge_alarms(up_to).await.map(|()| None);
        }
        Effect::SendAlarm(log, text, written) => match account.send_alarm(log, &text).await {
            Ok(_) => return Ok(None),
            Err(error) => Event::NotSent(log, written, error.code()),
        },
        Effect::LoadCompany => company(account).await?,
        Effect::SetQuiet(plan) => {
            account.set_quiet_hours(plan).await?;
            company(account).await?
        }
        Effect::Withhold(withheld) => {
            account.withhold_receipts(withheld).await?;
            company(account).await?
        }
        Effect::WithholdTrace(trace, withheld) => {
            account.withhold(trace, withheld).await?;
            company(account).await?
        }
        Effect::Typing(log) => {
            account.typing(log);
            return Ok(None);
        }
        Effect::SetInFront(in_front) => {
            account.set_in_front(in_front);
            return Ok(None);
        }
        Effect::LoadPresence(log) => {
            Event::Presence(log, account.presence(log).await?, account.traces_shown().await?)
        }
        Effect::TakeNotifications(rings) => {
            let new = account.take_notifications(NOTIFICATIONS).await?;
            let new = new.into_iter().map(|new| (new.log, new.loudness)).collect::<Vec<_>>();
            if !rings || new.is_empty() {
                return Ok(None);
            }
            Event::Notified(new)
        }
        Effect::LoadBell => Event::Bell(account.own_setting(BELL).await?.is_none(), false),
        Effect::SetBell(on) => {
            account.set_own_setting(BELL, (!on).then(|| vec![0])).await?;
            Event::Bell(on, true)
        }
        Effect::LoadTransfers => Event::Transfers(account.transfers()),
        Effect::Stop(which) => {
            Event::Stopped(documents::stop(account, Some(which), which.log).await)
        }
        Effect::StopAll(log) => Event::Stopped(documents::stop(account, None, log).await),
        Effect::Save(_) | Effect::SaveNth(..) | Effect::Open(_) | Effect::OpenNth(..) => {
            return Ok(None);
        }
        Effect::Reply(log, to, text) => match account.send_typed(log, &text, Some(to)).await {
            Ok(_) => return Ok(None),
            Err(error) => Event::NotSent(log, text, error.code()),
        },
        Effect::Edit(log, id, text) => match account.edit_typed(log, id, &text).await {
            Ok(()) => return Ok(None),
            Err(error) => Event::NotSent(log, text, error.code()),
        },
        Effect::Mark(log, id, mark) => return self::mark(account, log, id, mark).await,
        Effect::LoadHistory(log, id) => {
            let versions = account.versions(log, id).await?;
            Event::History(versions, account.reactions(log, id, REACTIONS).await?)
        }
        Effect::Retry(log, id) => return account.retry(log, id).await.map(|()| None),
        Effect::Discard(log, id) => return account.discard(log, id).await.map(|()| None),
        Effect::MarkRead(log, seq) => return account.mark_read(log, seq).await.map(|()| None),
        Effect::SaveDraft(log, text, version) => {
            return account.set_draft_from(log, text, version).await.map(|()| None);
        }
        Effect::NoteDraft(log, text, version) => {
            return account.note_draft(log, text, version).await.map(|()| None);
        }
        Effect::Archive(log, archived) => {
            return account.set_archived(log, archived).await.map(|()| None);
        }
        Effect::Favourite(log, favourite) => {
            return account.set_favourite(log, favourite).await.map(|()| None);
        }
        Effect::MoveFavourite(log, before) => {
            return account.move_favourite(log, before).await.map(|()| None);
        }
        Effect::Notes => Event::Begun(account.notes().await?),
        Effect::CreateDm(user) => Event::Begun(account.create_dm(user).await?),
        Effect::CreateRoom(room) => Event::Begun(account.create_room(room).await?),
        Effect::Add(log, users) => return account.add_members(log, users).await.map(|()| None),
        Effect::Remove(log, user) => return account.remove_member(log, user).await.map(|()| None),
        Effect::ChangeSuite(log) => return account.change_suite(log).await.map(|()| None),
        Effect::Leave(log) => return account.leave(log).await.map(|()| None),
        Effect::Rename(log, title) => return account.rename(log, &title).await.map(|()| None),
        Effect::Mute(log, muted) => return account.set_muted(log, muted).await.map(|()| None),
        Effect::TryAgain(log, id) => return account.try_again(log, id).await.map(|()| None),
        Effect::Dismiss(log, id) => return account.dismiss(log, id).await.map(|()| None),
        Effect::Approve(code) => {
            account.approve_device(&code, None).await.map(|_| Event::Approved)?
        }
    }))
}

async fn mark(
    account: &Account,
    log: LogId,
    id: MessageId,
    mark: Mark,
) -> Result<Option<Event>, AccountError> {
    match mark {
        Mark::Delete => account.delete(log, id).await?,
        Mark::Redact => account.redact(log, id).await?,
        Mark::React(emoji) => account.react(log, id, &emoji).await?,
        Mark::Unreact(emoji) => account.unreact(log, id, &emoji).await?,
        Mark::Pin(pinned) => account.pin(log, id, pinned).await?,
        Mark::Star(starred) => account.star(log, id, starred).await?,
        Mark::Vote(choice) => account.vote(log, id, choice).await?,
        Mark::ClosePoll => account.close_poll(log, id).await?,
        Mark::Confirm => account.confirm(log, id).await?,
        Mark::PassOn(to) => {
            account.forward(log, id, to).await?;
            return Ok(Some(Event::PassedOn));
        }
    }
    Ok(None)
}

/// Sends a recording with its length and its waveform, if it is one whose sound can be read.
async fn voice(account: &Account, log: LogId, path: &Path) -> Result<MessageId, AccountError> {
    let file = path.to_owned();
    let heard = tokio::task::spawn_blocking(move || sound::heard(&file)).await;
    let voice = heard.ok().flatten().unwrap_or_default();
    account.send_voice(log, Attachment::path(path), &voice, None).await
}

/// Announces a text in the rooms of these names, or in all of this person's. A name that is none of them, or of two,
/// announces nothing.
async fn announce(account: &Account, named: &[String], text: &str) -> Result<(), AccountError> {
    let own = account.announcement_rooms().await?;
    let mut rooms = Vec::new();
    for name in named {
        let called = |title: &Option<String>| {
            title.as_ref().is_some_and(|title| title.to_lowercase() == name.to_lowercase())
        };
        let mut called = own.iter().filter(|room| called(&room.title));
        match (called.next(), called.next()) {
            (Some(room), None) => rooms.push(room.log),
            _ => return Err(AccountError::NoConversation),
        }
    }
    if named.is_empty() {
        rooms.extend(own.iter().map(|room| room.log));
    }
    if rooms.is_empty() {
        return Err(AccountError::NoConversation);
    }
    account.announce(&rooms, text, true).await.map(|_| ())
}

async fn company(account: &Account) -> Result<Event, AccountError> {
    let (policy, quiet) = (account.policy().await?, account.quiet_hours().await?);
    let withheld = Withheld {
        receipts: account.withholds_receipts().await?,
        typing: account.withholds(Trace::Typing).await?,
        last_seen: account.withholds(Trace::LastSeen).await?,
    };
    Ok(Event::Company(Box::new((policy, quiet, withheld))))
}

async fn rooms(
    account: &Account,
    count: u32,
) -> Result<(Vec<ConversationRow>, bool), AccountError> {
    let mut rows: Vec<ConversationRow> = Vec::new();
    let wanted = count as usize;
    while rows.len() < wanted {
        let limit = u32::try_from(wanted - rows.len()).unwrap_or(PAGE).min(PAGE);
        let page = account.conversations(rows.last().map(|row| row.cursor), limit).await?;
        let is_last = page.len() < limit as usize;
        rows.extend(page);
        if is_last {
            return Ok((rows, false));
        }
    }
    Ok((rows, true))
}
