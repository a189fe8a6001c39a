//! The promises that a company can check: what the server stores, logs and answers holds no text, no
//! key and no name outside the directory; what a phone stores holds nothing in clear.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use hauspost_core::read::SearchQuery;
use hauspost_protocol::company::policy::{CouncilPart, Terms};
use hauspost_protocol::encoding::{decode, encode};
use hauspost_protocol::ids::LogId;
use hauspost_protocol::wire::{Directory, HintsRequest, path};
use hauspost_tests::hostile::Hostile;
use hauspost_tests::real::{Phone, World};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged by this process.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logged {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The one log of this process, at the finest level of our own crates.
static LOG: LazyLock<Logged> = LazyLock::new(|| {
    let log = Logged::default();
    tracing_subscriber::fmt()
        .with_env_filter("hauspost=trace,hauspost_core=trace,hauspost_protocol=trace")
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    log
});

/// Something that must not be found, and what it is.
struct Canary {
    what: &'static str,
    bytes: Vec<u8>,
}

/// Texts that nobody else can have written, and how they would look if somebody wrote them down.
#[derive(Default)]
struct Canaries(Vec<Canary>);

impl Canaries {
    fn text(&mut self, what: &'static str, rng: &mut StdRng) -> String {
        let mut random = [0; 12];
        rng.fill_bytes(&mut random);
        let text = format!("kanari{}", hex::encode(random));
        self.0.push(Canary { what, bytes: text.clone().into_bytes() });
        text
    }

    /// A secret, as it is and in hexadecimal.
    fn secret(&mut self, what: &'static str, bytes: &[u8]) {
        assert!(bytes.len() >= 16, "{what} is long enough not to be found by chance");
        self.0.push(Canary { what, bytes: bytes.to_vec() });
        self.0.push(Canary { what, bytes: hex::encode(bytes).into_bytes() });
    }

    /// What of all this these bytes hold.
    fn found_in(&self, bytes: &[u8]) -> BTreeSet<&'static str> {
        // One pass for all: by the first eight bytes of each.
        let mut starts: std::collections::HashMap<&[u8], Vec<&Canary>> = Default::default();
        for canary in &self.0 {
            starts.entry(&canary.bytes[..8]).or_default().push(canary);
        }
        let mut found = BTreeSet::new();
        let mut begins = vec![false; 1 << 16];
        starts.keys().for_each(|start| begins[pair(start)] = true);
        for (at, window) in bytes.windows(8).enumerate() {
            if !begins[pair(window)] {
                continue;
            }
            for canary in starts.get(window).into_iter().flatten() {
                if bytes[at..].starts_with(&canary.bytes) {
                    found.insert(canary.what);
                }
            }
        }
        found
    }

    fn assert_not_in(&self, place: &str, bytes: &[u8]) {
        let found = self.found_in(bytes);
        assert!(found.is_empty(), "{place} holds {found:?}");
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// All files under a folder, with what is in them. Those that go while the server runs are gone.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
            continue;
        }
        match std::fs::read(&path) {
            Ok(bytes) => files.push((path, bytes)),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{}", path.display()),
        }
    }
    files
}

/// A company that talked: canaries in its conversations, titles, drafts and searches, and the secrets
/// of its phones.
struct Company {
    world: World,
    phones: Vec<Phone>,
    networks: Vec<Hostile>,
    texts: Canaries,
    secrets: Canaries,
    names: Canaries,
    /// What was said of who types and who is there, sealed as it went to the server.
    hints: Canaries,
}

async fn talk() -> Company {
    LazyLock::force(&LOG);
    let mut rng = StdRng::seed_from_u64(20_261_125);
    let mut world = World::found().await;
    let council = CouncilPart { typing: true, last_seen: true, ..CouncilPart::default() };
    world.policy(Terms { council, ..Terms::default() }).await;
    let (mut texts, mut secrets, mut names) =
        (Canaries::default(), Canaries::default(), Canaries::default());
    let (mut phones, mut networks, mut handles) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        let network = Hostile::default();
        let handle = names.text("a person's name", &mut rng);
        phones.push(world.phone_over(&handle, network.network()).await);
        networks.push(network);
        handles.push(handle);
    }
    for phone in &phones {
        phone.settle().await;
    }
    let users: Vec<_> = phones.iter().map(|phone| phone.account.user()).collect();
    let title = texts.text("a group's title", &mut rng);
    let group = phones[0].account.create_group(Some(&title), users[1..3].to_vec()).await.unwrap();
    let dm = phones[3].account.create_dm(users[0]).await.unwrap();
    phones[0].settle().await;
    phones[3].settle().await;
    let mut sent = 0;
    for round in 0..4 {
        for phone in phones.iter().take(3) {
            phone.settle().await;
            for _ in 0..7 {
                let text = texts.text("a group's message", &mut rng);
                phone.account.send_text(group, &text).await.unwrap();
                sent += 1;
            }
            phone.settle().await;
        }
        // An epoch or two in between.
        match round {
            1 => phones[0].account.add_members(group, vec![users[3]]).await.unwrap(),
            2 => phones[1].account.renew_keys(group).await.unwrap(),
            _ => {}
        }
        for phone in [3, 0] {
            phones[phone].settle().await;
            let text = texts.text("a message between two", &mut rng);
            phones[phone].account.send_text(dm, &text).await.unwrap();
            phones[phone].settle().await;
            sent += 1;
        }
    }
    assert!(sent > 90, "{sent}");
    for phone in &phones {
        phone.settle().await;
        let draft = texts.text("a draft", &mut rng);
        let log = if phone.account.user() == users[3] { dm } else { group };
        phone.account.set_draft(log, Some(draft)).await.unwrap();
        let term = texts.text("a search", &mut rng);
        assert!(
            phone
                .account
                .search(SearchQuery::words(&term), None, 10)
                .await
                .unwrap()
                .hits
                .is_empty()
        );
    }
    // What the devices of a person agree on goes over the server too.
    let network = Hostile::default();
    let (first, over) = (&phones[0], network.network());
    let tablet = world.further_phone(&handles[0], "tablet", first, over).await;
    let setting = texts.text("a setting", &mut rng);
    first.account.set_own_setting("quiet", Some(setting.clone().into_bytes())).await.unwrap();
    for phone in [first, &tablet, first, &tablet] {
        phone.settle().await;
    }
    let told = tablet.account.own_setting("quiet").await.unwrap();
    assert_eq!(told, Some(setting.into_bytes()));
    let rows = tablet.account.conversations(None, 10).await.unwrap();
    let drafts: Vec<_> = rows.into_iter().filter_map(|row| row.draft).collect();
    assert_eq!(texts.found_in(drafts.concat().as_bytes()), BTreeSet::from(["a draft"]));
    phones.push(tablet);
    networks.push(network);
    let hints = hints(&phones[..4], &networks, group, dm).await;
    // They do talk: what is looked for below is there to be found.
    let heard = phones[1].texts(group).await.concat();
    assert!(texts.found_in(heard.as_bytes()).contains("a group's message"));
    for (at, phone) in phones.iter().enumerate() {
        // The tablet came after everything was said, and may have been given none of it yet.
        phone_secrets(phone, at < 4, &mut secrets).await;
    }
    Company { world, phones, networks, texts, secrets, names, hints }
}

/// All of them type and are there, and say so: what the server got of it.
async fn hints(phones: &[Phone], networks: &[Hostile], group: LogId, dm: LogId) -> Canaries {
    let sent = Arc::new(Mutex::new(Canaries::default()));
    for (phone, network) in phones.iter().zip(networks) {
        let sent = sent.clone();
        network.changes_requests(path::HINTS, move |request| {
            let HintsRequest { hints } = decode(&request.body).unwrap();
            let mut sent = sent.lock().unwrap();
            for hint in hints {
                sent.secret("a hint", &hint.sealed);
                let line = hint.to_line().into_bytes();
                sent.0.push(Canary { what: "a hint", bytes: line });
            }
        });
        phone.account.set_in_front(true);
        let log = if phone.account.conversation(dm).await.unwrap().is_some() { dm } else { group };
        phone.account.typing(log);
        phone.account.say_hints().await.unwrap();
        network.is_honest_again();
    }
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert!(sent.0.len() >= 3 * phones.len(), "each of them said something");
    sent
}

/// What only the phone may know.
async fn phone_secrets(phone: &Phone, heard: bool, secrets: &mut Canaries) {
    let key = phone.env().key_store.database_key().unwrap();
    secrets.secret("a database key", key.key.expose());
    let blobs = phone.account.store().read(|conn| {
        let mut blobs: Vec<(&'static str, Vec<u8>)> = Vec::new();
        for (what, sql) in [
            ("a record key", "SELECT record_key FROM message WHERE record_key IS NOT NULL"),
            ("a chain's secret", "SELECT chain FROM chain"),
            ("a key of hints", "SELECT hint_key FROM epoch WHERE hint_key NOT NULL"),
            ("a signing seed", "SELECT signing_seed FROM account"),
            ("a history seed", "SELECT history_seed FROM account"),
        ] {
            let mut select = conn.prepare(sql)?;
            let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
            for row in rows {
                blobs.push((what, row?));
            }
        }
        Ok::<_, hauspost_core::store::StoreError>(blobs)
    });
    let blobs = blobs.await.unwrap();
    assert!(!heard || blobs.iter().any(|(what, _)| *what == "a record key"));
    assert!(blobs.iter().any(|(what, _)| *what == "a chain's secret"));
    assert!(!heard || blobs.iter().any(|(what, _)| *what == "a key of hints"));
    for (what, blob) in blobs {
        // Each of them ends with the secret's 32 bytes.
        secrets.secret(what, &blob[blob.len() - 32..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_phones_holds_a_text_a_key_or_a_name() {
    let company = talk().await;
    let Company { world, phones, networks, texts, secrets, names, hints } = company;

    // Stored by the server: every file of its folder, while it runs, with what SQLite has not yet
    // moved from its write-ahead logs.
    let mut stored = 0;
    let mut database = Vec::new();
    for (file, bytes) in files(&world.data()) {
        let place = file.display().to_string();
        texts.assert_not_in(&place, &bytes);
        secrets.assert_not_in(&place, &bytes);
        hints.assert_not_in(&place, &bytes);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("hauspost.db") {
            // The directory's table is the one place where names may stand.
            database.extend_from_slice(&bytes);
        } else {
            names.assert_not_in(&place, &bytes);
        }
        stored += bytes.len();
    }
    assert!(stored > 100_000, "{stored} bytes");
    assert!(!names.found_in(&database).is_empty(), "the directory holds the names");

    // Answered by the server.
    let mut answered = 0;
    for network in &networks {
        for (asked, body) in network.answers_seen() {
            texts.assert_not_in(&asked, &body);
            secrets.assert_not_in(&asked, &body);
            hints.assert_not_in(&asked, &body);
            if asked == path::DIRECTORY {
                let _: Directory = decode(&body).unwrap();
            } else {
                names.assert_not_in(&asked, &body);
            }
            answered += body.len();
        }
    }
    assert!(answered > 100_000, "{answered} bytes");

    // Logged by server and phones, at the finest level.
    let logged = LOG.0.lock().unwrap().clone();
    assert!(!logged.is_empty(), "something was logged");
    texts.assert_not_in("the log", &logged);
    secrets.assert_not_in("the log", &logged);
    hints.assert_not_in("the log", &logged);
    names.assert_not_in("the log", &logged);

    // Stored by the phones, running and suspended.
    for phone in &phones {
        for _ in 0..2 {
            for (file, bytes) in files(phone.folder()) {
                let place = file.display().to_string();
                texts.assert_not_in(&place, &bytes);
                secrets.assert_not_in(&place, &bytes);
                hints.assert_not_in(&place, &bytes);
                names.assert_not_in(&place, &bytes);
            }
            phone.account.suspend().await;
        }
    }

    names_stand_in_the_directorys_table_alone(&world, &names);

    // A canary that is planted is found: in a file, in the log, in an answer.
    let planted = &texts.0[50].bytes;
    let mut file = std::fs::read(world.data().join("hauspost.db")).unwrap();
    let middle = file.len() / 2;
    file.splice(middle..middle, planted.iter().copied());
    assert_eq!(texts.found_in(&file).len(), 1);
    let spilt = String::from_utf8_lossy(planted).into_owned();
    assert!(!texts.found_in(format!("{spilt:?}").as_bytes()).is_empty());
    assert!(!texts.found_in(&encode(&vec![spilt])).is_empty());
    assert!(!secrets.found_in(&secrets.0[1].bytes).is_empty());
}

/// The directory can forget: the names stand in one table of the server, and nowhere else.
fn names_stand_in_the_directorys_table_alone(world: &World, names: &Canaries) {
    // The server runs: its own files, and not a copy, in which two moments could meet.
    let database = rusqlite::Connection::open(world.data().join("hauspost.db")).unwrap();
    let tables: Vec<String> = {
        let mut select =
            database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let mut holding = Vec::new();
    for table in &tables {
        let mut select = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        let mut bytes = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                use rusqlite::types::ValueRef;
                match row.get_ref(column).unwrap() {
                    ValueRef::Text(text) => bytes.extend_from_slice(text),
                    ValueRef::Blob(blob) => bytes.extend_from_slice(blob),
                    _ => {}
                }
                bytes.push(b'|');
            }
        }
        if !names.found_in(&bytes).is_empty() {
            holding.push(table.as_str());
        }
    }
    assert!(tables.len() > 5, "{tables:?}");
    assert_eq!(holding, ["people"]);
}
