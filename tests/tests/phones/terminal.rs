//! Two people at terminals: what one types, the other sees. Real server, real accounts; the screen
//! is a buffer.

use std::sync::{Arc, Mutex};

use hauspost::chat;
use hauspost::chat::event::Event;
use hauspost::company::handover::Wanted;
use hauspost_core::account::Account;
use hauspost_core::env::system::SystemClock;
use hauspost_protocol::company::policy::{CouncilPart, Terms};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, TestBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Position, Size};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use hauspost_tests::real::{PATIENCE, World};

/// A screen that a test looks at while it is drawn on.
#[derive(Clone)]
struct Glass {
    screen: Arc<Mutex<TestBackend>>,
    drawn: watch::Sender<u64>,
}

impl Glass {
    fn on<T>(&self, act: impl FnOnce(&mut TestBackend) -> T) -> T {
        act(&mut self.screen.lock().unwrap())
    }
}

impl Backend for Glass {
    type Error = std::convert::Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Self::Error>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.on(|screen| screen.draw(content))
    }
    fn hide_cursor(&mut self) -> Result<(), Self::Error> {
        self.on(Backend::hide_cursor)
    }
    fn show_cursor(&mut self) -> Result<(), Self::Error> {
        self.on(Backend::show_cursor)
    }
    fn get_cursor_position(&mut self) -> Result<Position, Self::Error> {
        self.on(Backend::get_cursor_position)
    }
    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Self::Error> {
        self.on(|screen| screen.set_cursor_position(position))
    }
    fn clear(&mut self) -> Result<(), Self::Error> {
        self.on(Backend::clear)
    }
    fn clear_region(&mut self, kind: ClearType) -> Result<(), Self::Error> {
        self.on(|screen| screen.clear_region(kind))
    }
    fn size(&self) -> Result<Size, Self::Error> {
        self.on(|screen| screen.size())
    }
    fn window_size(&mut self) -> Result<WindowSize, Self::Error> {
        self.on(Backend::window_size)
    }
    fn flush(&mut self) -> Result<(), Self::Error> {
        self.drawn.send_modify(|times| *times += 1);
        self.on(Backend::flush)
    }
}

/// A person at a terminal.
struct Seat {
    glass: Glass,
    keys: mpsc::UnboundedSender<Event>,
    running: JoinHandle<Result<(), chat::ChatError>>,
    /// How often its bell rang.
    rung: watch::Receiver<usize>,
}

impl Seat {
    fn at(account: &Account) -> Self {
        let screen = Arc::new(Mutex::new(TestBackend::new(80, 24)));
        let glass = Glass { screen, drawn: watch::Sender::new(0) };
        let (keys, inputs) = mpsc::unbounded_channel();
        let (backend, account) = (glass.clone(), account.clone());
        let (rings, rung) = watch::channel(0);
        let running = tokio::spawn(async move {
            let mut terminal = Terminal::new(backend).unwrap();
            let around = chat::Around {
                clock: Arc::new(SystemClock),
                zone: chat::utc(),
                words: chat::words::Words::english(),
                bell: Arc::new(move || rings.send_modify(|times| *times += 1)),
            };
            chat::run(&account, &mut terminal, inputs, around).await
        });
        Self { glass, keys, running, rung }
    }

    fn press(&self, code: KeyCode) {
        self.keys.send(Event::Key(KeyEvent::new(code, KeyModifiers::NONE))).unwrap();
    }

    fn types(&self, text: &str) {
        text.chars().for_each(|c| self.press(KeyCode::Char(c)));
    }

    fn text(&self) -> String {
        self.glass.on(|screen| {
            let buffer = screen.buffer();
            let rows = buffer.content().chunks(usize::from(buffer.area.width));
            let row = |cells: &[Cell]| cells.iter().map(Cell::symbol).collect::<String>();
            rows.map(row).collect::<Vec<_>>().join("\n")
        })
    }

    async fn sees(&self, text: &str) {
        let mut drawn = self.glass.drawn.subscribe();
        let seen = async {
            while !self.text().contains(text) {
                drawn.changed().await.unwrap();
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, seen).await;
        assert!(in_time.is_ok(), "no “{text}” on:\n{}", self.text());
    }

    async fn rings(&self, times: usize) {
        let mut rung = self.rung.clone();
        let rings = rung.wait_for(|rung| *rung >= times);
        tokio::time::timeout(PATIENCE, rings).await.expect("it rings").unwrap();
    }

    async fn leaves(self) {
        self.keys.send(Event::Quit).unwrap();
        self.running.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_types_at_a_terminal_the_other_sees_at_another() {
    let (_world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.refresh_people().await.unwrap();
    let (at_anna, at_ben) = (Seat::at(&anna.account), Seat::at(&ben.account));
    at_anna.sees("online").await;
    at_anna.press(KeyCode::F(2));
    at_anna.sees("Write to").await;
    at_anna.sees("ben").await;
    at_anna.types("ben");
    at_anna.press(KeyCode::Enter);
    at_anna.sees("Esc list").await;
    at_anna.types("Grüße aus dem Büro");
    at_anna.press(KeyCode::Enter);

    at_ben.sees("Grüße").await;
    at_ben.sees("(1)").await;
    at_ben.press(KeyCode::Enter);
    at_ben.sees("Grüße aus dem Büro").await;
    at_ben.types("angekommen");
    at_ben.press(KeyCode::Enter);
    at_anna.sees("angekommen").await;
    at_anna.sees(" ✓").await;

    at_ben.types("ein Entwurf");
    at_ben.sees("› ein Entwurf").await;
    at_ben.leaves().await;
    let log = ben.only_log().await;
    let row = ben.account.conversation(log).await.unwrap().unwrap();
    assert_eq!((row.draft.as_deref(), row.unread), (Some("ein Entwurf"), 0));
    at_anna.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_one_sends_at_a_terminal_the_other_lists_opens_and_saves_at_another() {
    let (world, [anna, ben]) = World::of(["anna", "ben"]).await;
    anna.account.create_dm(ben.account.user()).await.unwrap();
    anna.settle().await;
    ben.settle().await;
    let folder = world.phone_folder("files");
    std::fs::create_dir(&folder).unwrap();
    let source = folder.join("Rechnung März.txt");
    let content: Vec<u8> = (0..300_000).map(|at| b'a' + (at % 23) as u8).collect();
    std::fs::write(&source, &content).unwrap();
    let (at_anna, at_ben) = (Seat::at(&anna.account), Seat::at(&ben.account));
    for (seat, with) in [(&at_anna, "▌ben"), (&at_ben, "▌anna")] {
        seat.sees("online").await;
        seat.sees(with).await;
        seat.press(KeyCode::Enter);
        seat.sees("Esc list").await;
    }
    at_anna.types(&format!("/file \"{}\" -- bitte prüfen", source.display()));
    at_anna.press(KeyCode::Enter);
    at_anna.sees("▪ Rechnung März.txt (300 kB").await;
    at_ben.sees("▪ Rechnung März.txt (300 kB)").await;
    at_ben.press(KeyCode::F(7));
    at_ben.sees("1 Rechnung März.txt").await;
    at_ben.press(KeyCode::Char('o'));
    at_ben.sees("opened until this program ends").await;
    at_ben.press(KeyCode::Esc);
    at_ben.types(&format!("/save 1 \"{}\"", folder.display()));
    at_ben.press(KeyCode::Enter);
    at_ben.sees("saved: ").await;
    at_ben.sees("(300 kB, here)").await;
    let saved = folder.join("Rechnung März (2).txt");
    assert!(std::fs::read(saved).unwrap() == content, "beside the one that was there");
    at_ben.types("/save 1 /nirgendwo");
    at_ben.press(KeyCode::Enter);
    at_ben.sees("not saved: there is no folder /nirgendwo").await;
    at_ben.types("/save 2");
    at_ben.press(KeyCode::Enter);
    at_ben.sees("there is no such document").await;
    at_ben.leaves().await;
    at_anna.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_reads_at_a_terminal_what_was_handed_over_to_him_also_in_his_own_group() {
    let (mut world, [anna, ben, carla, dora]) = World::of(["anna", "ben", "carla", "dora"]).await;
    for phone in [&anna, &dora] {
        phone.account.refresh_people().await.unwrap();
    }
    let pair = ben.writes_first(&carla, "Angebot 4711 gilt bis Freitag").await;
    let others = vec![ben.account.user()];
    let hall = carla.account.create_group(Some("Halle 3"), others).await.unwrap();
    for phone in [&carla, &ben] {
        phone.settle().await;
    }
    ben.account.send_text(hall, "Kran steht seit Montag").await.unwrap();
    for phone in [&ben, &carla] {
        phone.settle().await;
    }
    carla.account.add_members(hall, vec![anna.account.user()]).await.unwrap();
    for phone in [&carla, &ben, &anna] {
        phone.settle().await;
    }
    let seats = [&anna, &carla, &dora].map(|phone| Seat::at(&phone.account));
    let [at_anna, _, at_dora] = &seats;
    at_anna.sees("▌# group without a").await;
    at_anna.press(KeyCode::Enter);
    at_anna.sees("Esc list").await;
    assert!(!at_anna.text().contains("Kran"), "{}", at_anna.text());
    for (to, log) in [("anna", hall), ("dora", pair)] {
        let wanted = Wanted { logs: vec![log], ..Wanted::default() };
        let seq = world.hands_over(("ben", to), &wanted, &["hr", "council-1"]).await;
        assert!(seq.is_some(), "{to}");
    }
    // She is in the group: it stands there, with the name that it was given, and she may write.
    at_anna.sees("Kran steht seit Montag").await;
    at_anna.sees("ben's past here was handed over to you").await;
    at_anna.sees("# Halle 3").await;
    at_anna.types("danke");
    at_anna.press(KeyCode::Enter);
    at_anna.sees(" ✓").await;
    at_dora.sees("handed over from ben").await;
    at_dora.press(KeyCode::Enter);
    at_dora.sees("handed over from ben: to be read only").await;
    at_dora.sees("Angebot 4711 gilt bis Freitag").await;
    for seat in seats {
        seat.leaves().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_one_sees_who_is_there_and_who_types_and_hears_what_is_new() {
    let mut world = World::found().await;
    let council = CouncilPart { typing: true, last_seen: true, ..CouncilPart::default() };
    world.policy(Terms { council, ..Terms::default() }).await;
    let (anna, ben) = (world.phone("anna").await, world.phone("ben").await);
    let log = anna.writes_first(&ben, "Guten Morgen").await;
    ben.settle().await;
    anna.account.refresh_people().await.unwrap();
    let at_ben = Seat::at(&ben.account);
    at_ben.sees("▌anna").await;
    at_ben.press(KeyCode::Enter);
    at_ben.sees("Guten Morgen").await;
    assert_eq!(*at_ben.rung.borrow(), 0, "what came before nobody sat here does not ring");

    let at_anna = Seat::at(&anna.account);
    at_ben.sees("there now").await;
    at_anna.sees("▌ben").await;
    at_anna.press(KeyCode::Enter);
    at_anna.sees("there now").await;
    at_anna.types("ich");
    at_ben.sees("anna is typing …").await;
    at_anna.press(KeyCode::Enter);
    at_ben.sees("ich").await;
    at_ben.sees("there now").await;

    // Ben turns to something else: now it rings, once for each, and not when he silenced it.
    at_ben.keys.send(Event::Focus(false)).unwrap();
    at_anna.sees("last seen").await;
    at_anna.types("hallo?");
    at_anna.press(KeyCode::Enter);
    at_ben.rings(1).await;
    at_ben.keys.send(Event::Focus(true)).unwrap();
    at_ben.types("/bell off");
    at_ben.press(KeyCode::Enter);
    at_ben.sees("the bell does not ring").await;
    at_ben.keys.send(Event::Focus(false)).unwrap();
    anna.account.send_text(log, "noch einmal").await.unwrap();
    at_ben.sees("noch einmal").await;
    assert_eq!(*at_ben.rung.borrow(), 1);
    at_anna.leaves().await;
    at_ben.leaves().await;
}
