//! `hauspost archive halves`, `answer` and `open`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use hauspost_core::read::Confirmations;
use hauspost_protocol::ids::LogId;
use hauspost_protocol::key_list::KeyList;

use super::Work;
use crate::archive::announced::{Announced, joined};
use crate::archive::approval::Approval;
use crate::archive::documents;
use crate::archive::opening::{ANSWER, HALVES, Message};
use crate::archive::reading::{Reading, read};
use crate::archive::verify::{Finding, Place};
use crate::cli::terminal::{self, Terminal};
use crate::cli::{Failure, rng};
use crate::company::holder::Holder;

#[derive(Args)]
#[command(
    after_help = "Key A is rebuilt in memory from two shares, used and forgotten; it is never written. What is written says \
    nothing without the council's key.\n\n\
    Example:\n  hauspost archive halves officers-export --keys keys/officer-1 --keys keys/officer-2 --out halves.cbor"
)]
pub struct Halves {
    /// The officers' export of the opening.
    export: PathBuf,
    /// The folders of two officers.
    #[arg(long, value_name = "DIR", required = true)]
    keys: Vec<PathBuf>,
    /// The file for the council.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args)]
#[command(
    after_help = "Replays from the logs who was where, checks each record against the scope in the company log, and refuses \
    whatever exceeds it. The entry `opened` with the counts is appended before the answer is written.\n\n\
    Example:\n  hauspost archive answer council-export --halves halves.cbor --keys keys/council-1 --out answer.cbor"
)]
pub struct Answer {
    /// The council's own export of the opening.
    export: PathBuf,
    /// The officers' file.
    #[arg(long, value_name = "FILE")]
    halves: PathBuf,
    /// The folder of a council member.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The server's address, if it is not the one in the folder's company.json.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The file for the officers.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Work without a network; the entry `opened` is written to this file, to be submitted later.
    #[arg(long, value_name = "FILE")]
    offline: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Each record is checked against its place in the log before it is shown: author, signature, what the author \
    had seen. With --out each conversation becomes a .txt and a .jsonl file, a list of who has confirmed each message that \
    asks for it, and a folder of its documents, byte for byte as their authors sent them.\n\n\
    Example:\n  hauspost archive open officers-export --answer answer.cbor --keys keys/officer-1 --out opened"
)]
pub struct Open {
    /// The officers' export of the opening.
    export: PathBuf,
    /// The council's file.
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
    /// The folder of the officer who reads.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// Write files into this folder, made here, instead of printing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Halves {
    pub fn run(self) -> Result<(), Failure> {
        let holders =
            self.keys.iter().map(|keys| Holder::open(keys)).collect::<Result<Vec<_>, _>>()?;
        let first =
            holders.first().ok_or_else(|| Failure::usage("no officer's folder is named"))?;
        let work = Work::read(&self.export, first)?;
        let opening = work.opening(&self.export)?;
        let shares = holders.iter().map(Holder::share).collect::<Result<Vec<_>, _>>()?;
        let message = opening.halves(&shares, &first.card, &mut rng())?;
        message.write(&self.out)?;
        terminal::result(format_args!(
            "halves for opening {} in {}",
            message.opening,
            self.out.display()
        ));
        Ok(())
    }
}

impl Answer {
    pub async fn run(self, terminal: &Terminal) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys)?;
        let (_, key) = holder.role_key()?;
        let work = Work::read(&self.export, &holder)?;
        let opening = work.opening(&self.export)?;
        let seq = work.export.manifest.opening.unwrap_or_default();
        let halves = Message::read(&self.halves, HALVES, seq)?;
        let working = terminal.spinner("opening capsules, checking the scope …");
        let answer = opening.answer(
            &halves,
            &holder.history_key()?,
            &holder.council_seed()?,
            &holder.card,
            &mut rng(),
        )?;
        working.finish_and_clear();
        for (log, capsule) in &answer.unanswered {
            terminal::say(format_args!(
                "log {log}, entry {capsule}: the officers sent no half for this capsule"
            ));
        }
        let mut opened = Approval::new(holder.card.company, answer.opened.clone());
        opened.sign(&key);
        // The log learns of the opening before anybody can read.
        match &self.offline {
            Some(path) => {
                opened.write(path)?;
                terminal::say(format_args!(
                    "Next: hauspost archive submit {} --keys …",
                    path.display()
                ));
            }
            None => {
                let client = holder.client(self.server.as_deref()).await?;
                client.append(holder.card.company.log(), opened.entry()).await?;
            }
        }
        answer.message.write(&self.out)?;
        for (log, count) in &answer.opened.counts {
            terminal::result(format_args!("log {log}: keys of {count} records"));
        }
        Ok(())
    }
}

impl Open {
    pub fn run(self) -> Result<(), Failure> {
        let holder = Holder::open(&self.keys)?;
        let work = Work::read(&self.export, &holder)?;
        let opening = work.opening(&self.export)?;
        let seq = work.export.manifest.opening.unwrap_or_default();
        let answer = Message::read(&self.answer, ANSWER, seq)?;
        let keys = opening.keys(&answer, &holder.history_key()?)?;
        if let Some(out) = &self.out {
            fs::create_dir(out)
                .map_err(|error| Failure::files(format_args!("{}: {error}", out.display())))?;
        }
        let (mut findings, mut announced) = (0, Vec::new());
        for (log, keys) in &keys {
            let mut reading = read(&work.examined, &work.export.people, *log, keys);
            match &self.out {
                Some(out) => {
                    write(out, *log, &reading)?;
                    write_documents(&self.export, out, *log, &mut reading)?;
                }
                None => print(*log, keys, &reading),
            }
            for finding in &reading.findings {
                terminal::result(format_args!("FINDING {finding}"));
            }
            findings += reading.findings.len();
            announced.append(&mut reading.announced);
        }
        for announced in joined(announced) {
            tell(self.out.as_deref(), &announced)?;
        }
        if findings == 0 { Ok(()) } else { Err(Failure::findings(findings)) }
    }
}

fn print(log: LogId, keys: &KeyList, reading: &Reading) {
    terminal::result(format_args!(
        "Conversation {log}: {} records opened, {} outside of the scope",
        keys.len(),
        reading.without_key
    ));
    for message in &reading.messages {
        terminal::result(message.line());
    }
    for list in &reading.confirmations {
        let entry = list.seq.unwrap_or_default();
        let (confirmed, asked) = (list.confirmed(), list.asked());
        terminal::result(format_args!("Entry {entry}: {confirmed} of {asked} have confirmed"));
    }
}

/// Writes the documents of a conversation, each checked by the SHA-256 that its author signed.
fn write_documents(
    export: &Path,
    out: &Path,
    log: LogId,
    reading: &mut Reading,
) -> Result<(), Failure> {
    if reading.documents.is_empty() {
        return Ok(());
    }
    let folder = out.join(log.to_string());
    fs::create_dir(&folder)
        .map_err(|error| Failure::files(format_args!("{}: {error}", folder.display())))?;
    for (seq, files) in &reading.documents {
        for (position, file) in files.iter().enumerate() {
            let path = documents::written_path(&folder, *seq, position, &file.name);
            match documents::open(export, log, file, &path) {
                Ok(()) => terminal::result(format_args!(
                    "{}  SHA-256 {}",
                    path.display(),
                    file.plain_hash
                )),
                Err(fault) => {
                    let what = format!("its document {}: {fault}", file.blob_root);
                    let (place, seq) = (Place::Log(log), Some(*seq));
                    reading.findings.push(Finding { place, seq, what });
                }
            }
        }
    }
    Ok(())
}

fn write(folder: &Path, log: LogId, reading: &Reading) -> Result<(), Failure> {
    let (mut text, mut lines) = (Vec::new(), Vec::new());
    for message in &reading.messages {
        let json = serde_json::to_string(message).expect("strings and numbers have a JSON form");
        writeln!(text, "{}", message.line()).expect("writing to a Vec does not fail");
        writeln!(lines, "{json}").expect("writing to a Vec does not fail");
    }
    put(folder, format!("{log}.txt"), &text)?;
    put(folder, format!("{log}.jsonl"), &lines)?;
    for list in &reading.confirmations {
        let entry = list.seq.unwrap_or_default();
        put_list(folder, &format!("{log}-{entry}"), list)?;
    }
    Ok(())
}

/// One announcement in several rooms: the list of all of them.
fn tell(out: Option<&Path>, announced: &Announced) -> Result<(), Failure> {
    let (Announced { rooms, list, .. }, (author, id)) = (announced, &announced.name);
    match out {
        Some(folder) => put_list(folder, &format!("announcement-{author}-{id}"), list),
        None => {
            let (confirmed, asked) = (list.confirmed(), list.asked());
            terminal::result(format_args!(
                "Announcement {id} of {author}, in {rooms} conversations: {confirmed} of {asked} have confirmed"
            ));
            Ok(())
        }
    }
}

fn put_list(folder: &Path, name: &str, list: &Confirmations) -> Result<(), Failure> {
    put(folder, format!("{name}-confirmed.csv"), list.to_csv().as_bytes())?;
    put(folder, format!("{name}-confirmed.json"), list.to_json().as_bytes())
}

fn put(folder: &Path, name: String, bytes: &[u8]) -> Result<(), Failure> {
    let path = folder.join(name);
    crate::company::key_file::write_private(&path, bytes)?;
    terminal::result(path.display());
    Ok(())
}
