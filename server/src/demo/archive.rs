//! The archive's part of the story: two officers and the works council open one dialog together, the
//! verifier passes it, and names what is done to copies.

use std::path::{Path, PathBuf};

use hauspost_protocol::entry::ArchivedEntry;

use super::phone::{Line, Room};
use super::stage::{Stage, copy_folder};
use super::story::Story;
use super::{DemoError, holds};
use crate::archive::documents;
use crate::archive::export::{log_file, read_log};

/// `archive verify` ends with this code when it has findings.
const FINDINGS: i32 = 10;

/// Opens the dialog, compares it with what the phones showed, and verifies it and four bad copies.
pub async fn open_and_verify(
    story: &Story,
    stage: &Stage,
    room: Room,
    lines: &[Line],
    documents: &[Vec<u8>],
) -> Result<(), DemoError> {
    let opening = request(stage, room).await?;
    let officer = ["--keys", "keys/officer-1"];
    let council = ["--keys", "keys/council-1"];
    archive(stage, &["fetch", "--opening", &opening, "--out", "officers-export"], &officer).await?;
    let halves = ["halves", "officers-export", "--keys", "keys/officer-2", "--out", "halves.cbor"];
    archive(stage, &halves, &officer).await?;
    archive(stage, &["fetch", "--opening", &opening, "--out", "council-export"], &council).await?;
    let answer = ["answer", "council-export", "--halves", "halves.cbor", "--out", "answer.cbor"];
    archive(stage, &answer, &council).await?;
    let open = ["open", "officers-export", "--answer", "answer.cbor"];
    let read = archive(stage, &open, &officer).await?;
    for line in lines {
        holds(read.contains(&line.text), "the archive gives back each line of the dialog")?;
    }
    archive(stage, &[&open[..], &["--out", "opened"]].concat(), &officer).await?;
    let given = super::story::files(&stage.path("opened").join(room.to_string()));
    let given = given.map_err(DemoError::Stage)?;
    let given: Result<Vec<_>, _> = given.iter().map(std::fs::read).collect();
    let given = given.map_err(DemoError::Stage)?;
    let whole = documents.iter().all(|document| given.contains(document));
    holds(whole, "the archive gives back each document byte for byte")?;
    holds(given.len() == documents.len() + 1, "and the photo's preview, and nothing else")?;
    story.step(
        "Two officers and the works council open one dialog",
        "The request stands in the company's own log, with its purpose, before anything is released. The officers \
         hold the sealed records, the council the other key; each worked in a process of its own and saw nothing \
         of the other's. Out came this dialog and no other, and invoice, photo and voice message byte for byte:",
    );
    story.printed(&read);

    let good = verify(stage, "officers-export").await?;
    holds(good.code == Some(0), "the untouched archive verifies")?;
    story.step(
        "The archive is verified, offline",
        "From the exported files and the company's pin alone:",
    );
    story.printed(&good.printed);
    tamper(story, stage, room).await
}

/// Two officers and the council sign, one after another; gives the number of the `opening` entry.
async fn request(stage: &Stage, room: Room) -> Result<String, DemoError> {
    let room = room.to_string();
    let request = [
        "request",
        "--purpose",
        "Reklamation Weiß & Söhne, Vorgang 2026-118",
        "--log",
        &room,
        "--notice",
        "Mitteilung an Anna Berg und Ben Kaya am selben Tag",
        "--out",
        "request.json",
    ];
    archive(stage, &request, &["--keys", "keys/officer-1"]).await?;
    for holder in ["keys/officer-2", "keys/council-1"] {
        archive(stage, &["sign", "request.json", "--yes"], &["--keys", holder]).await?;
    }
    let printed =
        archive(stage, &["submit", "request.json"], &["--keys", "keys/officer-1"]).await?;
    let number = printed.split_whitespace().last().unwrap_or_default().to_owned();
    holds(number.parse::<u64>().is_ok(), "`archive submit` prints the number of the opening")?;
    Ok(number)
}

async fn archive(stage: &Stage, words: &[&str], more: &[&str]) -> Result<String, DemoError> {
    let all: Vec<&str> = ["archive"].iter().chain(words).chain(more).copied().collect();
    stage.run(&all).await
}

struct Verdict {
    code: Option<i32>,
    printed: String,
}

async fn verify(stage: &Stage, export: &str) -> Result<Verdict, DemoError> {
    let output = stage.output(&["archive", "verify", export, "--keys", "keys/officer-1"]).await?;
    Ok(Verdict {
        code: output.status.code(),
        printed: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

/// What is done to a copy of the log's file, and what the verifier must call it.
type Tampering = (&'static str, &'static str, fn(&mut Vec<ArchivedEntry>));

const TAMPERINGS: [Tampering; 4] = [
    ("one entry removed", "missing", |entries| {
        entries.remove(4);
    }),
    ("one entry changed", "was changed", |entries| entries[4].entry.t_ms += 1),
    ("two entries exchanged", "order", |entries| entries.swap(4, 5)),
    ("the last two cut off", "at the end", |entries| entries.truncate(entries.len() - 2)),
];

async fn tamper(story: &Story, stage: &Stage, room: Room) -> Result<(), DemoError> {
    let mut named = String::new();
    for (number, (what, word, change)) in TAMPERINGS.iter().enumerate() {
        let copy = format!("tampered-{}", number + 1);
        let folder = stage.path(&copy);
        copy_folder(&stage.path("officers-export"), &folder).map_err(DemoError::Stage)?;
        let path = log_path(&folder, room)?;
        let (mut entries, _) =
            read_log(&path).map_err(|error| DemoError::DoesNotHold(error.to_string()))?;
        change(&mut entries);
        std::fs::write(&path, log_file(&entries)).map_err(DemoError::Stage)?;
        let verdict = verify(stage, &copy).await?;
        let claim = format!("the verifier names it when there is {what}");
        holds(verdict.code == Some(FINDINGS), &claim)?;
        let finding = verdict
            .printed
            .lines()
            .find(|line| line.contains(&room.to_string()) && line.contains(word))
            .ok_or_else(|| {
                DemoError::DoesNotHold(format!("{claim}; it said:\n{}", verdict.printed))
            })?;
        named.push_str(&format!("{what}:\n  {finding}\n"));
    }
    named.push_str(&tamper_with_the_invoice(stage, room).await?);
    story.step("Five copies are tampered with, and the verifier names each", "");
    story.printed(&named);
    Ok(())
}

async fn tamper_with_the_invoice(stage: &Stage, room: Room) -> Result<String, DemoError> {
    let folder = stage.path("tampered-document");
    copy_folder(&stage.path("officers-export"), &folder).map_err(DemoError::Stage)?;
    let place = folder.join(documents::FOLDER).join(room.to_string());
    for path in super::story::files(&place).map_err(DemoError::Stage)? {
        let mut stored = std::fs::read(&path).map_err(DemoError::Stage)?;
        stored[100] ^= 1;
        std::fs::write(&path, stored).map_err(DemoError::Stage)?;
    }
    let verdict = verify(stage, "tampered-document").await?;
    let finding = verdict.printed.lines().find(|line| line.contains("its document"));
    let finding = finding.filter(|_| verdict.code == Some(FINDINGS));
    let claim = "the verifier names a changed document";
    let finding = finding.ok_or_else(|| DemoError::DoesNotHold(claim.to_owned()))?;
    Ok(format!("one byte of the invoice changed:\n  {finding}\n"))
}

fn log_path(export: &Path, room: Room) -> Result<PathBuf, DemoError> {
    let name = room.to_string();
    let all = super::story::files(export).map_err(DemoError::Stage)?;
    all.into_iter()
        .find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().contains(&name)))
        .ok_or_else(|| DemoError::DoesNotHold("the export has the dialog's log".to_owned()))
}
