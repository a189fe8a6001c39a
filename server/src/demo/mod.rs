//! `hauspost demo`: the main job as a story, played by the product itself.
//!
//! A company is founded, three phones enrol, people talk, one is away and catches up, one leaves,
//! officers and works council open one conversation together, and the verifier names what was done
//! to copies of the archive. Every step checks what it claims and ends the demo with exit code 1 when
//! it does not hold. Server, admin, officers and council are processes of their own ([`stage`]); the
//! phones are cores as an app would run them ([`phone`]).

mod archive;
pub mod invoice;
mod phone;
mod recorded;
mod stage;
mod story;

use std::path::PathBuf;
use std::time::Instant;

use phone::Phone;
use stage::{ServerProcess, Stage};
use story::Story;

/// How the demo is run.
#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// An empty folder in which everything stays; without one everything is removed at the end.
    pub keep: Option<PathBuf>,
    /// Print nothing but a failure.
    pub quiet: bool,
}

/// Why the demo did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder or a process cannot be used.
    #[error("the demo's folder or a process cannot be used: {0}")]
    Stage(std::io::Error),
    /// The folder to keep has something in it already.
    #[error("{} is not empty; name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// A command failed.
    #[error("`{command}` failed:\n{said}")]
    Command {
        /// The command as one would type it.
        command: String,
        /// What it said.
        said: String,
    },
    /// A phone's core gave an error.
    #[error("{whose} phone: {error}")]
    Phone {
        /// Whose.
        whose: String,
        /// What it said.
        error: String,
    },
    /// A step does not hold.
    #[error("this does not hold: {0}")]
    DoesNotHold(String),
}

/// Ends the demo when a claim of its story is not true.
fn holds(truth: bool, claim: &str) -> Result<(), DemoError> {
    if truth { Ok(()) } else { Err(DemoError::DoesNotHold(claim.to_owned())) }
}

/// Plays the story.
///
/// # Errors
/// When a step does not hold; what was made so far stays only if it was to be kept.
pub async fn run(options: DemoOptions) -> Result<(), DemoError> {
    let begun = Instant::now();
    let story = Story::new(options.quiet);
    let stage = Stage::new(options.keep.as_deref())?;

    let server = found(&story, &stage).await?;
    let mut anna = enrol(&stage, "anna", "Anna Berg").await?;
    let mut ben = enrol(&stage, "ben", "Ben Kaya").await?;
    let mut cem = enrol(&stage, "cem", "Cem Yildiz").await?;
    story.step(
        "Three phones enrol",
        "Anna (dispatch), Ben and Cem (drivers). Nobody typed an address or compared a number: the invitation \
         came as one line, as an MDM delivers it.",
    );

    let dm = talk_in_pairs(&story, &anna, &ben).await?;
    let mut documents = vec![send_an_invoice(&story, &stage, &anna, &ben, dm).await?];
    documents.extend(send_what_was_recorded(&story, &stage, &anna, &ben, dm).await?);
    let group = talk_in_a_group(&story, &anna, &ben, &mut cem).await?;
    talk_about_it(&story, &anna, &ben, &cem, group).await?;
    ask_everybody(&story, &anna, &ben, &cem, group).await?;
    leave(&story, &stage, &anna, &ben, &cem, group).await?;
    read_nothing(&story, &server, &documents)?;

    let lines = anna.lines(dm).await?;
    for phone in [&mut anna, &mut ben, &mut cem] {
        phone.close().await;
    }
    archive::open_and_verify(&story, &stage, dm, &lines, &documents).await?;

    story.end(begun.elapsed(), (!stage.is_temporary()).then(|| stage.path("")));
    Ok(())
}

async fn found(story: &Story, stage: &Stage) -> Result<ServerProcess, DemoError> {
    let server = stage.serve().await?;
    let ca = server.data.join("ca.pem");
    let token = server.data.join("founding-token");
    let arguments = [
        "admin",
        "found",
        "--server",
        &server.url,
        "--ca",
        text(&ca)?,
        "--token",
        text(&token)?,
        "--name",
        "Muster Logistik GmbH",
        "--keys",
        "keys",
    ];
    stage.run(&arguments).await?;
    story.step(
        "A company is founded",
        "The server started on an empty folder. The keys that matter were made away from it: the root, the one \
         who vouches for phones, the officers' archive key in three shares, the works council's in two copies.",
    );
    Ok(server)
}

async fn enrol(stage: &Stage, handle: &str, name: &str) -> Result<Phone, DemoError> {
    let arguments = ["admin", "invite", handle, "--name", name, "--keys", "keys/admin"];
    let invitation = stage.run(&arguments).await?;
    Phone::enrol(handle, stage.path(&format!("phone-{handle}")), invitation.trim()).await
}

/// So many bytes of a document are looked for.
const SAMPLE: usize = 32;

const MORNING: [&str; 4] = [
    "Guten Morgen Ben, bist du schon auf dem Hof?",
    "Moin Anna, gerade angekommen. Tor 3 ist noch zu.",
    "Der Lieferschein für Weiß & Söhne liegt im Büro, bitte mitnehmen.",
    "Mach ich. Die Palette mit dem Öl lade ich zuerst.",
];

async fn talk_in_pairs(story: &Story, anna: &Phone, ben: &Phone) -> Result<phone::Room, DemoError> {
    let dm = anna.talk_to(ben).await?;
    for (i, line) in MORNING.iter().enumerate() {
        let (from, to) = if i % 2 == 0 { (anna, ben) } else { (ben, anna) };
        from.write(dm, line).await?;
        to.wait_for(dm, line).await?;
    }
    anna.wait_for_the_lines_of(ben, dm).await?;
    let hits = ben.search("lieferschein soehne").await?;
    holds(
        hits.len() == 1 && MORNING[2].starts_with(&hits[0]),
        "a search finds an umlaut that was typed as two letters",
    )?;
    story.step("Anna and Ben talk", "One to one, and searchable on the phone at once:");
    story.dialog(&anna.lines(dm).await?);
    Ok(dm)
}

/// The invoice's file.
const INVOICE: &str = "Rechnung Weiß & Söhne 2026-118.pdf";

/// A document goes from phone to phone; gives its bytes.
async fn send_an_invoice(
    story: &Story,
    stage: &Stage,
    anna: &Phone,
    ben: &Phone,
    dm: phone::Room,
) -> Result<Vec<u8>, DemoError> {
    let invoice = invoice::pdf();
    let source = stage.path(INVOICE);
    std::fs::write(&source, &invoice).map_err(DemoError::Stage)?;
    anna.send(dm, &source, "application/pdf").await?;
    ben.wait_for(dm, INVOICE).await?;
    let arrived = ben.document(dm, INVOICE).await?;
    holds(arrived == invoice, "a document arrives byte for byte")?;
    let found = ben.search_documents("position 1999 paletten").await?;
    holds(
        found.as_deref().is_some_and(|line| line.contains("Position 1999: ")),
        "a word inside a PDF is found on the phone that has it",
    )?;
    anna.wait_for_the_lines_of(ben, dm).await?;
    story.step(
        "Anna sends an invoice",
        &format!(
            "{INVOICE}, {} kB: sealed chunk by chunk on her phone, opened on Ben's, byte for byte the same. Its SHA-256 \
             stands in her signed message. Ben searches for “position 1999 paletten” and finds it inside the PDF: {}",
            invoice.len() / 1_000,
            found.as_deref().map(str::trim).unwrap_or_default()
        ),
    );
    Ok(invoice)
}

/// The photo's and the recording's file.
const PHOTO: &str = "Tor 3.jpg";
const RECORDING: &str = "Sprachnachricht.wav";

/// A photo and a voice message go from phone to phone; gives their bytes.
async fn send_what_was_recorded(
    story: &Story,
    stage: &Stage,
    anna: &Phone,
    ben: &Phone,
    dm: phone::Room,
) -> Result<[Vec<u8>; 2], DemoError> {
    let photo = recorded::photo();
    let source = stage.path(PHOTO);
    std::fs::write(&source, &photo).map_err(DemoError::Stage)?;
    anna.send(dm, &source, "image/jpeg").await?;
    ben.wait_for(dm, PHOTO).await?;
    holds(ben.document(dm, PHOTO).await? == photo, "a photo arrives byte for byte, Exif and all")?;
    ben.wait_for_preview(dm, PHOTO).await?;

    let recording = recorded::voice();
    let source = stage.path(RECORDING);
    std::fs::write(&source, &recording).map_err(DemoError::Stage)?;
    anna.speak(dm, &source).await?;
    ben.wait_for(dm, RECORDING).await?;
    let spoken = ben.spoken(dm, RECORDING).await?;
    let is_shown = spoken.starts_with("▶ 0:03 ▁") && spoken.contains('▇');
    holds(is_shown, "a voice message shows its length and its waveform before it is fetched")?;
    let arrived = ben.document(dm, RECORDING).await?;
    holds(arrived == recording, "a voice message arrives byte for byte")?;
    anna.wait_for_the_lines_of(ben, dm).await?;
    story.step(
        "Anna sends a photo and a voice message",
        &format!(
            "{PHOTO}, {} kB, as her camera wrote it; Ben's phone shows a small preview, made upright on hers and \
             decoded apart on his. The voice message stands in his dialog as {spoken}, and plays byte for byte what \
             she recorded.",
            photo.len() / 1_000
        ),
    );
    Ok([photo, recording])
}

const AWAY: [&str; 5] = [
    "Achtung, A7 bei Hildesheim gesperrt.",
    "Ich fahre über Salzgitter, plus 25 Minuten.",
    "Kunde Groß ist informiert.",
    "Danke! Rampe 5 statt 2.",
    "Verstanden, Rampe 5.",
];

async fn talk_in_a_group(
    story: &Story,
    anna: &Phone,
    ben: &Phone,
    cem: &mut Phone,
) -> Result<phone::Room, DemoError> {
    let group = anna.gather("Tour Nord", &[ben, cem]).await?;
    let hello = "Willkommen in der Gruppe Tour Nord.";
    anna.write(group, hello).await?;
    for phone in [ben, &*cem] {
        phone.wait_for(group, hello).await?;
    }
    cem.close().await;
    for (i, line) in AWAY.iter().enumerate() {
        let (from, to) = if i % 2 == 0 { (anna, ben) } else { (ben, anna) };
        from.write(group, line).await?;
        to.wait_for(group, line).await?;
    }
    cem.open().await?;
    cem.wait_for(group, AWAY[4]).await?;
    let unread = cem.unread(group).await?;
    holds(unread >= AWAY.len() as u64, "what came while a phone was away is unread on it")?;
    cem.wait_for_the_lines_of(anna, group).await?;
    let back = "Bin wieder da, danke euch.";
    cem.write(group, back).await?;
    anna.wait_for(group, back).await?;
    story.step(
        "Cem's phone was off, and catches up",
        "The group went on without him; now he has every line that he missed, once, in the same order:",
    );
    story.dialog(&cem.lines(group).await?);
    Ok(group)
}

/// Answers, reactions and changes are the same on all phones.
async fn talk_about_it(
    story: &Story,
    anna: &Phone,
    ben: &Phone,
    cem: &Phone,
    group: phone::Room,
) -> Result<(), DemoError> {
    anna.react(group, AWAY[1], "👍").await?;
    let answer = "Nehmt die B6, die ist frei.";
    cem.answer(group, AWAY[1], answer).await?;
    for phone in [anna, ben] {
        phone.wait_for(group, answer).await?;
    }
    let changed = "Ich fahre über Salzgitter, plus 15 Minuten.";
    ben.change(group, AWAY[1], changed).await?;
    for phone in [anna, cem] {
        phone.wait_for(group, changed).await?;
        phone.wait_for_the_lines_of(ben, group).await?;
    }
    holds(ben.search("25 Minuten").await?.is_empty(), "a search finds the last version only")?;
    holds(anna.versions(group, changed).await? == 2, "each version stays")?;
    let lines = anna.lines(group).await?;
    let told = lines.iter().find(|line| line.text == changed);
    let notes = told.map(|line| line.notes.as_str()).unwrap_or_default();
    holds(notes == "  (geändert)  👍 1", "a change keeps the reactions")?;
    let quoted = lines.iter().any(|line| line.text == answer && line.notes.contains(changed));
    holds(quoted, "an answer shows what the original says now")?;
    story.step(
        "They answer, react and correct themselves",
        "An answer carries no copy of what it answers, so it quotes the corrected text; every version stays in the \
         log and in the archive:",
    );
    story.dialog(&lines[lines.len().saturating_sub(7)..]);
    Ok(())
}

/// A poll counts the same on all phones, and everybody sees who chose what.
async fn ask_everybody(
    story: &Story,
    anna: &Phone,
    ben: &Phone,
    cem: &Phone,
    group: phone::Room,
) -> Result<(), DemoError> {
    let (question, options) = ("Wer fährt am Samstag?", ["Ben", "Cem", "niemand"]);
    anna.ask(group, question, &options).await?;
    for phone in [ben, cem] {
        phone.wait_for_poll(group, question, "Ben 0, Cem 0, niemand 0").await?;
    }
    ben.vote(group, question, 1).await?;
    cem.vote(group, question, 2).await?;
    anna.wait_for_poll(group, question, "Ben 0, Cem 1, niemand 1").await?;
    ben.wait_for_poll(group, question, "Ben 0, Cem 1, niemand 1").await?;
    cem.vote(group, question, 1).await?;
    for phone in [anna, ben] {
        phone.wait_for_poll(group, question, "Ben 0, Cem 2, niemand 0").await?;
    }
    story.step(
        "Anna asks everybody",
        &format!(
            "“{question}” Of each person the last vote counts, by the log's order, so all phones show the same: \
             Ben 0, Cem 2, niemand 0."
        ),
    );
    Ok(())
}

async fn leave(
    story: &Story,
    stage: &Stage,
    anna: &Phone,
    ben: &Phone,
    cem: &Phone,
    group: phone::Room,
) -> Result<(), DemoError> {
    stage.run(&["admin", "revoke", "cem", "--reason", "left", "--keys", "keys/hr"]).await?;
    let text = "Cem ist nicht mehr dabei, seine Tour übernimmt Ben.";
    anna.write(group, text).await?;
    ben.wait_for(group, text).await?;
    cem.wait_until_cut_off().await?;
    holds(!cem.has(group, text).await?, "a leaver gets nothing that was written after he left")?;
    story.step(
        "Cem leaves the company",
        "One command of HR. The next message took his phone out of the group first, by itself; his phone was cut \
         off and got nothing of it. The company keeps everything that he wrote.",
    );
    Ok(())
}

/// Everything that the server stored and logged holds no line of any dialog, and nothing of a document.
fn read_nothing(
    story: &Story,
    server: &ServerProcess,
    documents: &[Vec<u8>],
) -> Result<(), DemoError> {
    let mut bytes = 0;
    for path in story::files(&server.data).map_err(DemoError::Stage)? {
        let stored = std::fs::read(&path).map_err(DemoError::Stage)?;
        bytes += stored.len();
        for line in MORNING.iter().chain(&AWAY) {
            let found = stored.windows(line.len()).any(|window| window == line.as_bytes());
            holds(!found, &format!("{} holds no line of a dialog", path.display()))?;
        }
        for document in documents {
            let middle = document.len() / 2;
            let sample = &document[middle..][..SAMPLE];
            let found = stored.windows(SAMPLE).any(|window| window == sample);
            holds(!found, &format!("{} holds nothing of a document", path.display()))?;
        }
    }
    let kept = story::files(&server.data.join("blobs")).map_err(DemoError::Stage)?;
    // The photo has a preview.
    holds(kept.len() == documents.len() + 1, "the server keeps each document once")?;
    story.step(
        "The server's folder is searched",
        &format!(
            "{} kB of it, and not one line of any dialog or byte of a document: it orders and keeps what it cannot read.",
            bytes / 1024
        ),
    );
    Ok(())
}

fn text(path: &std::path::Path) -> Result<&str, DemoError> {
    path.to_str().ok_or_else(|| DemoError::DoesNotHold("the folder's name is UTF-8".to_owned()))
}
