//! The command line as people use it: real processes, a real server, real phones.

// clippy knows tests by #[test]; the helpers of an integration test are tests as well.
#![allow(clippy::unwrap_used)]

#[path = "command_line/handover.rs"]
mod handover;
#[path = "command_line/lacking.rs"]
mod lacking;
#[path = "command_line/storage.rs"]
mod storage;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hauspost::archive::export::{read_log, write_log};
use hauspost_core::account::{Account, AccountError};
use hauspost_core::env::Env;
use hauspost_core::env::seeded::MemoryKeyStore;
use hauspost_core::env::system::{SystemClock, SystemRandomness};
use hauspost_core::inbound::Code;
use hauspost_core::read::Window;
use hauspost_core::store::rows::alarm::{self, Alarm};
use hauspost_core::store::rows::checkpoint;
use hauspost_core::sync::Https;
use hauspost_protocol::entry::ArchivedEntry;
use hauspost_protocol::ids::{LogId, Seq};
use tempfile::TempDir;

#[path = "command_line/policy.rs"]
mod policy;

/// How long a test waits for what must come: no promise of speed, but an end to a test that hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// A company of this test's own: its folder, and its server as a process.
struct Company {
    folder: TempDir,
    server: Child,
    url: String,
}

impl Drop for Company {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn hauspost() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hauspost"));
    command.stdin(Stdio::null());
    command
}

impl Company {
    fn served() -> Self {
        Self::of(tempfile::tempdir().unwrap(), |folder| {
            let mut serve = hauspost();
            serve
                .args(["serve", "--listen", "127.0.0.1:0", "--checkpoint-seconds", "1", "--data"])
                .arg(folder.join("server"));
            serve
        })
    }

    /// One whose server is started by this command.
    fn of(folder: TempDir, serve: impl FnOnce(&Path) -> Command) -> Self {
        let mut server =
            serve(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("hauspost serves ").unwrap().to_owned();
        Self { folder, server, url }
    }

    fn founded() -> Self {
        let company = Self::served();
        let found = company.found("keys");
        assert!(found.status.success(), "{found:?}");
        company
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keys(&self, holder: &str) -> PathBuf {
        self.path("keys").join(holder)
    }

    fn found(&self, keys: &str) -> Output {
        let server = self.path("server");
        let token = server.join("founding-token");
        hauspost()
            .args(["admin", "found", "--name", "Muster GmbH", "--server", &self.url, "--ca"])
            .arg(server.join("ca.pem"))
            .arg("--token")
            .arg(token)
            .arg("--keys")
            .arg(self.path(keys))
            .output()
            .unwrap()
    }

    /// Runs a command of one holder.
    fn run<A: AsRef<OsStr>>(&self, holder: &str, command: &[&str], arguments: &[A]) -> Output {
        hauspost()
            .args(command)
            .args(arguments)
            .arg("--keys")
            .arg(self.keys(holder))
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    fn must<A: AsRef<OsStr>>(&self, holder: &str, command: &[&str], arguments: &[A]) -> String {
        let output = self.run(holder, command, arguments);
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    async fn enrol(&self, invitation: &str, folder: &str) -> Result<Account, String> {
        let account = Account::enrol(&self.path(folder), invitation, new_phone()).await;
        account.map_err(|error| error.to_string())
    }

    async fn phone(&self, handle: &str, name: &str) -> Account {
        let invitation = self.must("admin", &["admin", "invite", handle], &["--name", name]);
        self.enrol(&invitation, handle).await.unwrap()
    }

    /// Asks for an opening of a conversation and gets it signed by all; the entry's number.
    fn opening(&self, log: &str, more: &[&str]) -> String {
        let request = self.path(&format!("request-{}.json", more.len()));
        let request = request.to_str().unwrap();
        let arguments =
            ["--purpose", "Claim 4711", "--log", log, "--notice", "by letter", "--out", request];
        self.must("officer-1", &["archive", "request"], &[&arguments[..], more].concat());
        let early = self.run("officer-1", &["archive", "submit", request], NONE);
        assert_eq!(early.status.code(), Some(4), "one officer alone must not do");
        let before = fs::read(request).unwrap();
        let unread = self.run("officer-2", &["archive", "sign", request], NONE);
        assert_eq!(unread.status.code(), Some(2), "nobody was there to read it");
        assert_eq!(fs::read(request).unwrap(), before);
        self.must("officer-2", &["archive", "sign", request, "--yes"], NONE);
        self.must("council-1", &["archive", "sign", request, "--yes"], NONE);
        let submitted = self.must("officer-1", &["archive", "submit", request], NONE);
        submitted.strip_prefix("opening ").unwrap().to_owned()
    }

    /// An export of everything that is there now; its folder.
    fn export(&self, name: &str) -> String {
        let out = self.path(name).to_str().unwrap().to_owned();
        self.must("officer-1", &["archive", "fetch"], &["--out", &out]);
        out
    }

    fn fetch(&self, holder: &str, opening: &str, out: &str) -> PathBuf {
        let out = self.path(out);
        self.must(
            holder,
            &["archive", "fetch"],
            &["--opening", opening, "--out", out.to_str().unwrap()],
        );
        out
    }
}

const NONE: &[&str] = &[];

/// What a phone lends the core, with keys of its own.
fn new_phone() -> Env {
    Env {
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness),
        key_store: Arc::new(MemoryKeyStore::new(&SystemRandomness)),
        network: Arc::new(Https),
    }
}

async fn settle(phones: &[&Account]) {
    for _ in 0..2 {
        for phone in phones {
            phone.sync_all().await.unwrap();
            phone.send_once().await.unwrap();
            phone.sync_all().await.unwrap();
        }
    }
}

/// Lines of a verification of a copy of the export in which one log was changed.
fn verify_changed(
    export: &Path,
    log: &str,
    change: impl FnOnce(&mut Vec<ArchivedEntry>),
) -> (Option<i32>, String) {
    let copy = tempfile::tempdir().unwrap();
    let copied =
        Command::new("cp").arg("-r").arg(export).arg(copy.path().join("copy")).status().unwrap();
    assert!(copied.success());
    let copy = copy.path().join("copy");
    let file = copy.join("logs").join(format!("{log}.log"));
    let (mut entries, damage) = read_log(&file).unwrap();
    assert_eq!(damage, None);
    change(&mut entries);
    write_log(&file, &entries).unwrap();
    let output = hauspost().args(["archive", "verify"]).arg(&copy).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_company_is_founded_once_and_a_second_founding_changes_nothing() {
    let company = Company::founded();
    let secret = fs::read(company.keys("root").join("root.key")).unwrap();
    for keys in ["keys", "other-keys"] {
        let again = company.found(keys);
        assert_eq!(again.status.code(), Some(4), "{again:?}");
    }
    assert_eq!(fs::read(company.keys("root").join("root.key")).unwrap(), secret);
    assert!(!company.path("other-keys").exists());
}

#[test]
fn a_server_that_is_told_to_stop_ends_in_order_from_its_first_word_on() {
    let mut company = Company::served();
    let address = company.path("server/address");
    assert!(address.exists());
    let told =
        Command::new("kill").args(["-TERM", &company.server.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(company.server.wait().unwrap().code(), Some(0));
    assert!(!address.exists());
    assert!(!company.path("server/hauspost.db-wal").exists(), "the database is whole in one file");
}

#[test]
fn a_founding_that_was_broken_off_is_completed_by_the_same_command() {
    let company = Company::founded();
    // As if the answer had been lost: the request is still pending, the server has it.
    fs::rename(company.path("keys/founded.cbor"), company.path("keys/founding.cbor")).unwrap();
    let again = company.found("keys");
    assert!(again.status.success(), "{again:?}");
    assert!(company.path("keys/founded.cbor").exists());

    // As if the server had never got it: another server refuses what was not made for it.
    let other = Company::served();
    let moved = Command::new("cp")
        .arg("-r")
        .arg(company.path("keys"))
        .arg(other.path("keys"))
        .status()
        .unwrap();
    assert!(moved.success());
    fs::rename(other.path("keys/founded.cbor"), other.path("keys/founding.cbor")).unwrap();
    assert_eq!(other.found("keys").status.code(), Some(4));
}

#[test]
fn errors_name_the_next_step_and_have_their_exit_codes() {
    let company = Company::founded();
    let unreachable = hauspost()
        .args(["admin", "list", "--server", "https://127.0.0.1:1", "--keys"])
        .arg(company.keys("admin"))
        .output()
        .unwrap();
    assert_eq!(unreachable.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&unreachable.stderr).contains("hauspost serve"));
    let nameless = company.run("admin", &["admin", "invite", "anna"], NONE);
    assert_eq!(nameless.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nameless.stderr).contains("--name"));
    let nobody = company.run("hr", &["admin", "revoke", "anna"], &["--reason", "left"]);
    assert_eq!(nobody.status.code(), Some(4));
    let no_keys = company.run("retention", &["admin", "list"], NONE);
    assert_eq!(no_keys.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_enrols_one_phone_and_a_revoked_person_is_listed_so() {
    let company = Company::founded();
    let invitation = company.must("admin", &["admin", "invite", "anna"], &["--name", "Anna Berg"]);
    company.enrol(&invitation, "first").await.unwrap();
    company.enrol(&invitation, "second").await.err().expect("the invitation was used");
    let list = company.must("admin", &["admin", "list"], NONE);
    assert!(list.starts_with("anna\tAnna Berg\t") && list.ends_with("\tactive"), "{list}");
    company.must("hr", &["admin", "revoke", "anna"], &["--reason", "left"]);
    let list = company.must("admin", &["admin", "list"], NONE);
    assert!(list.ends_with("\trevoked"), "{list}");
}

/// `docs/attacks.md` 1: an invitation alone lets in nobody's second device.
#[tokio::test(flavor = "multi_thread")]
async fn attacks_1_a_second_phone_waits_until_an_admin_approves_its_code() {
    let company = Company::founded();
    company.phone("anna", "Anna Berg").await;
    let invitation = company.must("admin", &["admin", "invite", "anna"], NONE);
    let (second, folder) = (new_phone(), company.path("second"));
    let waiting = Account::enrol(&folder, &invitation, second.clone()).await.err();
    let Some(AccountError::NeedsApproval(code)) = waiting else { panic!("{waiting:?}") };
    let other = company.run("admin", &["admin", "approve", "0000-0000-0000"], NONE);
    assert_eq!(other.status.code(), Some(4), "{}", String::from_utf8_lossy(&other.stderr));
    assert_eq!(company.must("admin", &["admin", "list"], NONE).lines().count(), 1);
    company.must("admin", &["admin", "approve", &code], NONE);
    Account::enrol(&folder, &invitation, second).await.unwrap();
    let list = company.must("admin", &["admin", "list"], NONE);
    assert_eq!(list.matches("\tactive").count(), 2, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_in_a_new_group_when_an_admin_orders_it() {
    let company = Company::founded();
    let anna = company.phone("anna", "Anna Berg").await;
    let ben = company.phone("ben", "Ben Kaya").await;
    let log = anna.create_dm(ben.user()).await.unwrap();
    anna.send_text(log, "vorher").await.unwrap();
    settle(&[&anna, &ben]).await;
    let order = |holder, log: LogId| {
        let log = log.to_string();
        let arguments = ["--log", log.as_str(), "--reason", "nobody can write"];
        company.run(holder, &["admin", "reset"], &arguments).status.code()
    };
    assert_eq!(order("hr", log), Some(4), "only an admin orders it");
    assert_eq!(order("admin", LogId([9; 16])), Some(4), "there is no such conversation");
    assert_eq!(order("admin", log), Some(0));
    settle(&[&anna, &ben]).await;
    ben.send_text(log, "nachher").await.unwrap();
    settle(&[&ben, &anna]).await;
    for phone in [&anna, &ben] {
        let rows = phone.timeline(log, Window::Newest, 50).await.unwrap().rows;
        let texts: Vec<_> = rows.iter().filter_map(|row| row.text.as_deref()).collect();
        assert_eq!(texts, ["vorher", "nachher"]);
        phone.report_alarms().await.unwrap();
    }
    let shown = company.must("admin", &["admin", "log"], NONE);
    assert!(shown.contains(&format!("\treset_order\tlog {log}, nobody can write")), "{shown}");
    assert_eq!(shown.matches(&format!("reports a reset: log {log}")).count(), 1, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_reports_is_shown_to_the_admin() {
    let company = Company::founded();
    let anna = company.phone("anna", "Anna Berg").await;
    let quiet = company.must("admin", &["admin", "status"], NONE);
    assert!(quiet.ends_with("no reports in 30 days"), "{quiet}");
    let alarm = Alarm {
        log: None,
        code: Code::Fork as u64,
        seq: Some(Seq(3)),
        evidence: Some(b"two heads".to_vec()),
        t_ms: 0,
    };
    let raised = anna.store().write(move |tx| alarm::raise(tx, &alarm)).await;
    raised.unwrap();
    anna.report_alarms().await.unwrap();
    let said = format!("device {} reports two histories: the company log, entry 3", anna.device());
    for command in ["status", "log"] {
        let shown = company.must("admin", &["admin", command], NONE);
        assert!(shown.ends_with(&said), "{shown}");
    }
    let founding = company.must("admin", &["admin", "log"], NONE);
    assert!(founding.starts_with("0\t") && founding.contains("\tgenesis\t"), "{founding}");
    let reports = company.must("admin", &["admin", "log"], &["--reports", "--last", "5"]);
    assert_eq!(reports.lines().count(), 1, "{reports}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_council_runs_a_witness_and_phones_and_verifier_see_what_it_says() {
    let company = Company::founded();
    let anna = company.phone("anna", "Anna Berg").await;
    let witness = Witness::of(&company);
    let key = witness.must_init();
    let file = company.path("witness.vkey");
    fs::write(&file, &key).unwrap();
    let named = company.must(
        "admin",
        &["admin", "witness", "add", file.to_str().unwrap()],
        &["--root", company.keys("root").to_str().unwrap()],
    );
    assert!(named.starts_with("witness betriebsrat.example/w1 by entry"), "{named}");
    covered(&anna, &named).await;
    let cosigned = witness.run("run", &["--once"]);
    assert!(cosigned.status.success(), "{cosigned:?}");
    let status = company.must("admin", &["admin", "status"], NONE);
    assert!(status.contains("witness betriebsrat.example/w1 cosigned size"), "{status}");
    let export = company.export("export");
    let verify = |count: &str| {
        company.run("council-2", &["archive", "verify", &export, "--require-witness", count], NONE)
    };
    let verified = verify("1");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{said}");
    assert!(said.contains("witness betriebsrat.example/w1 cosigned size"), "{said}");
    assert_eq!(verify("2").status.code(), Some(10), "one of two");
    anna.sync_all().await.unwrap();
    anna.ask_witnesses().await.unwrap();
    let seen = anna.checkpoint().await.unwrap().unwrap().witnesses;
    assert_eq!(seen.len(), 1, "{seen:?}");

    // A new log key: phones follow the company log, the witness has to be told.
    let rotated = company.must(
        "admin",
        &["admin", "log-key", "rotate"],
        &["--root", company.keys("root").to_str().unwrap()],
    );
    assert!(rotated.starts_with("log key by entry"), "{rotated}");
    covered(&anna, &rotated).await;
    let export = company.export("rotated");
    let verified = company.run("officer-2", &["archive", "verify", &export], NONE);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let refused = witness.run("run", &["--once"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let status = witness.run("status", NONE);
    assert_eq!(status.status.code(), Some(4));
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("witness betriebsrat.example/w1\n"), "{status}");
    assert_eq!(witness.must_init(), key, "its own key stays");
    assert!(witness.run("run", &["--once"]).status.success());
    assert!(witness.run("status", NONE).status.success());
    anna.sync_all().await.unwrap();
    let newest = anna.checkpoint().await.unwrap().unwrap();
    assert!(newest.tree.size > seen[0].size, "the phone takes checkpoints by the new key");

    let ended = company.must(
        "admin",
        &["admin", "witness", "end", "betriebsrat.example/w1"],
        &["--root", company.keys("root").to_str().unwrap()],
    );
    assert!(ended.contains("ended by entry"), "{ended}");
    let again = witness.run("run", &["--once"]);
    assert_eq!(again.status.code(), Some(4), "it is none any more: {again:?}");
}

/// Waits until a checkpoint covers the entry of the company log that a command named last.
async fn covered(phone: &Account, said: &str) {
    let seq = said.split(' ').filter_map(|word| word.parse::<u64>().ok()).next_back().unwrap();
    let waits = async {
        loop {
            phone.sync_all().await.unwrap();
            let newest = phone.store().read(checkpoint::newest).await.unwrap();
            if newest.and_then(|row| row.company_size).is_some_and(|size| size > seq) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("a checkpoint at all");
}

/// The council's witness, on a machine of its own.
struct Witness {
    data: PathBuf,
    keys: PathBuf,
}

impl Witness {
    fn of(company: &Company) -> Self {
        Self { data: company.path("witness"), keys: company.keys("council-1") }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        hauspost()
            .args(["witness", command])
            .args(arguments)
            .arg("--data")
            .arg(&self.data)
            .output()
            .unwrap()
    }

    /// The verifier key that `init` prints.
    fn must_init(&self) -> String {
        let keys = self.keys.to_str().unwrap();
        let made = self.run("init", &["--name", "betriebsrat.example/w1", "--keys", keys]);
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn officers_and_council_open_a_conversation_and_the_verifier_names_each_tampering() {
    let company = Company::founded();
    let anna = company.phone("anna", "Anna Berg").await;
    let ben = company.phone("ben", "Ben Kurz").await;
    settle(&[&anna, &ben]).await;
    let log = anna.create_dm(ben.user()).await.unwrap();
    anna.send_text(log, "Guten Morgen").await.unwrap();
    settle(&[&anna, &ben]).await;
    ben.send_text(log, "Der Lieferschein ist da").await.unwrap();
    settle(&[&ben, &anna]).await;
    anna.send_text(log, "Danke").await.unwrap();
    settle(&[&anna, &ben]).await;
    let log = log.to_string();

    let opening = company.opening(&log, &["--user", "ben"]);
    let officers = company.fetch("officer-1", &opening, "officers");
    let council = company.fetch("council-1", &opening, "council");
    let (halves, answer) = (company.path("halves.cbor"), company.path("answer.cbor"));
    let (officers, council) = (officers.to_str().unwrap(), council.to_str().unwrap());
    let (halves, answer) = (halves.to_str().unwrap(), answer.to_str().unwrap());
    let alone = company.run("officer-1", &["archive", "halves", officers], &["--out", halves]);
    assert_eq!(alone.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("2 are needed"));
    let second = company.keys("officer-2");
    let both = ["--keys", second.to_str().unwrap(), "--out", halves];
    company.must("officer-1", &["archive", "halves", officers], &both);
    let given = company.must(
        "council-1",
        &["archive", "answer", council],
        &["--halves", halves, "--out", answer],
    );
    assert_eq!(given, format!("log {log}: keys of 1 records"));
    let read = company.must("officer-3", &["archive", "open", officers], &["--answer", answer]);
    assert!(read.contains("Ben Kurz: Der Lieferschein ist da"), "{read}");
    assert!(!read.contains("Guten Morgen") && !read.contains("Danke"), "{read}");
    let out = company.path("opened");
    company.must(
        "officer-1",
        &["archive", "open", officers],
        &["--answer", answer, "--out", out.to_str().unwrap()],
    );
    let lines = fs::read_to_string(out.join(format!("{log}.jsonl"))).unwrap();
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(line["text"], "Der Lieferschein ist da");
    assert_eq!(line["name"], "Ben Kurz");

    // The opening was written down before anybody read, and what was given after it.
    let later = company.path("later");
    company.must("officer-1", &["archive", "fetch"], &["--out", later.to_str().unwrap()]);
    let verified = company.must(
        "council-2",
        &["archive", "verify", later.to_str().unwrap()],
        &["--earlier", officers],
    );
    assert!(verified.contains("OK: nothing is missing, changed or reordered"), "{verified}");

    let name = format!("log {log}, entry 4");
    let (code, found) = verify_changed(&later, &log, |entries| drop(entries.remove(4)));
    assert_eq!(code, Some(10));
    assert!(found.contains(&format!("{name}: entry 4 is missing")), "{found}");
    let (_, found) = verify_changed(&later, &log, |entries| entries[4].entry.t_ms += 1);
    assert!(found.contains(&format!("{name}: entry 4 was changed")), "{found}");
    let (_, found) = verify_changed(&later, &log, |entries| entries.swap(4, 5));
    assert!(found.contains(&format!("{name}: entry 4 was reordered")), "{found}");
    let (_, found) = verify_changed(&later, &log, |entries| entries.truncate(4));
    assert!(found.contains(&format!("{name}: the log is cut off")), "{found}");
}
