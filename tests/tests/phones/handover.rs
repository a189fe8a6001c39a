//! History for a successor: HR and the works council hand over what a leaver had in conversations, and the
//! phones of those who are there give it, over the real server (docs/protocol.md §10).

use hauspost::company::handover::Wanted;
use hauspost_core::account::{Draft, HandoverInForce};
use hauspost_core::read::{SearchQuery, Window};
use hauspost_core::store::StoreError;
use hauspost_core::store::rows::log::LogState;
use hauspost_core::store::rows::message::{Event, Message, MessageKind};
use hauspost_protocol::company::policy::{CouncilPart, Terms};
use hauspost_protocol::ids::{LogId, UserId};
use hauspost_tests::real::{PATIENCE, Phone, World};

mod between;

/// Who signs a handover where the council has its say.
const BOTH: [&str; 2] = ["hr", "council-1"];

async fn round(phone: &Phone) {
    phone.account.sync_all().await.unwrap();
    phone.account.share_history().await.unwrap();
    phone.account.send_once().await.unwrap();
    phone.account.sync_all().await.unwrap();
}

async fn rounds(phones: &[&Phone]) {
    for _ in 0..4 {
        for phone in phones {
            round(phone).await;
        }
    }
}

/// Goes on until the successor's phone shows this text. Those who give it are here; of several the one that
/// comes second would wait a minute before it gives the rest.
async fn gets(phone: &Phone, log: LogId, text: &str, others: &[&Phone]) {
    let comes = async {
        while !(knows(phone, log).await && phone.texts(log).await.iter().any(|shown| shown == text))
        {
            rounds(&[&[phone], others].concat()).await;
        }
    };
    tokio::time::timeout(PATIENCE, comes).await.expect("it is handed over at all");
}

/// The lines about handovers in a conversation.
async fn lines(phone: &Phone, log: LogId) -> Vec<(UserId, UserId)> {
    let rows = phone.account.timeline(log, Window::Newest, 500).await.unwrap().rows;
    let event = |row: Message| match Event::from_content(row.content.as_deref()?) {
        Event::HandedOver { from, to, .. } => Some((from, to)),
        _ => None,
    };
    rows.into_iter().filter(|row| row.kind == MessageKind::Event).filter_map(event).collect()
}

async fn grants(phone: &Phone, log: LogId) -> i64 {
    let count = phone.account.store().read(move |conn| {
        let sql = "SELECT count(*) FROM entry e JOIN log l ON l.id = e.key >> 40
                   WHERE e.kind = 6 AND l.log = ?1";
        Ok::<_, StoreError>(conn.query_row(sql, [log.0], |row| row.get(0))?)
    });
    count.await.unwrap()
}

async fn says(phone: &Phone, log: LogId, text: &str, others: &[&Phone]) {
    phone.settle().await;
    phone.account.send_text(log, text).await.unwrap();
    phone.settle().await;
    for other in others {
        other.settle().await;
    }
}

async fn knows(phone: &Phone, log: LogId) -> bool {
    phone.account.conversation(log).await.unwrap().is_some()
}

/// Anna, Ben who leaves, Carla and Dora: a group of the last three, and Ben and Carla by themselves.
struct Firm {
    world: World,
    anna: Phone,
    ben: Phone,
    carla: Phone,
    dora: Phone,
    hall: LogId,
    pair: LogId,
}

async fn firm() -> Firm {
    let (world, [anna, ben, carla, dora]) = World::of(["anna", "ben", "carla", "dora"]).await;
    anna.account.sync_all().await.unwrap();
    let others = [ben.account.user(), carla.account.user(), dora.account.user()];
    let hall = carla.account.create_group(Some("Halle 3"), others[..1].to_vec()).await.unwrap();
    says(&carla, hall, "nur Ben und Carla", &[&ben]).await;
    carla.account.add_members(hall, vec![others[2]]).await.unwrap();
    says(&carla, hall, "nun auch Dora", &[&ben, &dora]).await;
    says(&ben, hall, "Kran steht seit Montag", &[&carla, &dora]).await;
    let pair = ben.writes_first(&carla, "Angebot 4711 gilt bis Freitag").await;
    says(&carla, pair, "der Kunde sagt zu", &[&ben]).await;
    Firm { world, anna, ben, carla, dora, hall, pair }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_reads_what_a_leaver_had_with_all_who_were_there_and_all_of_them_are_told() {
    let Firm { mut world, anna, ben, carla, dora, hall, pair } = firm().await;
    let source = world.data().parent().unwrap().join("Angebot.txt");
    std::fs::write(&source, b"Angebot 4711, frei Haus").unwrap();
    ben.account.send_file(pair, &source, "Angebot.txt", "text/plain", "anbei").await.unwrap();
    ben.settle().await;
    carla.settle().await;
    ben.account.send(pair, Draft::typed("und **fett**")).await.unwrap();
    ben.settle().await;
    carla.settle().await;
    world.revoke("ben").await;
    for phone in [&carla, &dora] {
        phone.settle().await;
    }
    says(&carla, hall, "Ben ist weg", &[&dora]).await;

    let wanted = Wanted::default();
    let seq = world.hands_over(("ben", "anna"), &wanted, &BOTH).await.expect("both signed");
    assert!(seq.0 > 0);
    for phone in [&carla, &dora] {
        phone.account.sync_all().await.unwrap();
    }
    says(&carla, hall, "nach der Übergabe", &[]).await;
    gets(&anna, pair, "der Kunde sagt zu", &[&carla]).await;
    gets(&anna, hall, "nur Ben und Carla", &[&carla]).await;
    rounds(&[&anna, &carla, &dora]).await;

    // What Ben had, and nothing that was said after he was gone.
    let all = ["nur Ben und Carla", "nun auch Dora", "Kran steht seit Montag"];
    assert_eq!(anna.texts(hall).await, all);
    let all = ["Angebot 4711 gilt bis Freitag", "der Kunde sagt zu", "anbei", "und fett"];
    assert_eq!(anna.texts(pair).await, all);
    let between = (ben.account.user(), anna.account.user());
    for log in [hall, pair] {
        let row = anna.account.conversation(log).await.unwrap().unwrap();
        assert_eq!(row.state, LogState::HandedOver);
        assert_eq!(row.handed.map(|handed| handed.from), Some(between.0));
        assert_eq!((row.unread, row.peer), (0, None));
        assert!(anna.account.send_text(log, "hallo").await.is_err(), "it is to be read only");
        let told: &[&Phone] = if log == hall { &[&anna, &carla, &dora] } else { &[&anna, &carla] };
        for phone in told {
            assert_eq!(lines(phone, log).await, [between], "nobody is read behind his back");
            assert_eq!(grants(phone, log).await, 1, "one gave, and once");
        }
    }
    let row = anna.account.conversation(hall).await.unwrap().unwrap();
    assert_eq!(row.title.as_deref(), Some("Halle 3"));
    let row = anna.account.conversation(pair).await.unwrap().unwrap();
    assert_eq!(row.handed.and_then(|handed| handed.with), Some(carla.account.user()));

    // Documents and search work as in her own conversations.
    let rows = anna.account.timeline(pair, Window::Newest, 50).await.unwrap().rows;
    let document = rows.into_iter().find(|row| row.kind == MessageKind::File).unwrap();
    let path = anna.account.open_file(pair, document.message_id, 0).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"Angebot 4711, frei Haus");
    let found = anna.account.search(SearchQuery::words("kran"), None, 10).await.unwrap();
    assert_eq!(found.hits.len(), 1);
    for phone in [&anna, &carla, &dora] {
        assert_eq!(phone.alarms().await, 0);
        let known = phone.account.policy().await.unwrap().handovers;
        let (from, to) = between;
        let t_ms = known[0].t_ms;
        assert_eq!(known, [HandoverInForce { from, to, t_ms, is_whole: true }]);
    }
    // A conversation of her own with Carla is another one.
    let own = anna.account.create_dm(carla.account.user()).await.unwrap();
    assert_ne!(own, pair);
    anna.account.send_text(own, "ich übernehme").await.unwrap();
    anna.settle().await;
    carla.settle().await;
    assert_eq!(carla.texts(own).await, ["ich übernehme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_of_one_conversation_shows_the_successor_no_other_one() {
    let Firm { mut world, anna, ben: _, carla, dora, hall, pair } = firm().await;
    let wanted = Wanted { logs: vec![hall], ..Wanted::default() };
    world.hands_over(("ben", "anna"), &wanted, &BOTH).await.unwrap();
    gets(&anna, hall, "nun auch Dora", &[&carla]).await;
    rounds(&[&anna, &carla, &dora]).await;
    assert!(!knows(&anna, pair).await);
    assert_eq!(grants(&carla, pair).await, 0);
    assert_eq!(lines(&carla, pair).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn hr_alone_hands_over_only_where_the_policy_says_so_and_an_admin_never_does() {
    let Firm { mut world, anna, ben: _, carla, dora, hall, .. } = firm().await;
    let wanted = Wanted::default();
    for alone in [&["admin"][..], &["hr"], &["admin", "officer-1"], &["council-1"]] {
        let taken = world.hands_over(("ben", "anna"), &wanted, alone).await;
        assert_eq!(taken, None, "{alone:?}");
    }
    rounds(&[&anna, &carla, &dora]).await;
    assert!(!knows(&anna, hall).await);
    let council = CouncilPart { handover_council: false, ..CouncilPart::default() };
    world.policy(Terms { council, ..Terms::default() }).await;
    assert_eq!(world.hands_over(("ben", "anna"), &wanted, &["admin"]).await, None);
    assert!(world.hands_over(("ben", "anna"), &wanted, &["hr"]).await.is_some());
    gets(&anna, hall, "Kran steht seit Montag", &[&carla]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_that_ends_gives_nothing_more_and_one_to_somebody_revoked_since_nothing_at_all()
{
    let Firm { mut world, anna, ben: _, carla, dora, hall, pair } = firm().await;
    let wanted = Wanted { logs: vec![hall], ..Wanted::default() };
    world.hands_over(("ben", "anna"), &wanted, &BOTH).await.unwrap();
    gets(&anna, hall, "nun auch Dora", &[&carla]).await;
    // A further device of hers would be given the same; but it ends first.
    let end = Wanted { nothing: true, ..Wanted::default() };
    world.hands_over(("ben", "anna"), &end, &BOTH).await.unwrap();
    let tablet = world.second_phone("anna", &anna).await;
    rounds(&[&tablet, &anna, &carla, &dora]).await;
    assert!(!knows(&tablet, hall).await && !knows(&anna, pair).await);
    assert_eq!(grants(&carla, hall).await, 1, "the one from before");

    world.hands_over(("ben", "dora"), &Wanted::default(), &BOTH).await.unwrap();
    world.revoke("dora").await;
    rounds(&[&carla]).await;
    assert_eq!((grants(&carla, hall).await, grants(&carla, pair).await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_further_phone_of_the_successor_is_given_the_same_by_itself() {
    let Firm { mut world, anna, carla, hall, pair, .. } = firm().await;
    world.hands_over(("ben", "anna"), &Wanted::default(), &BOTH).await.unwrap();
    gets(&anna, hall, "nur Ben und Carla", &[&carla]).await;
    let tablet = world.second_phone("anna", &anna).await;
    gets(&tablet, hall, "nur Ben und Carla", &[&anna, &carla]).await;
    gets(&tablet, pair, "der Kunde sagt zu", &[&anna, &carla]).await;
    assert_eq!(tablet.texts(hall).await, anna.texts(hall).await);
    assert_eq!(lines(&carla, hall).await.len(), 1, "everybody was told already");
}

/// The lines that say that something is not readable on this phone.
async fn unreadable(phone: &Phone, log: LogId) -> usize {
    let rows = phone.account.timeline(log, Window::Newest, 500).await.unwrap().rows;
    rows.iter().filter(|row| row.kind == MessageKind::Unreadable).count()
}

async fn unread(phone: &Phone, log: LogId) -> u64 {
    phone.account.conversation(log).await.unwrap().unwrap().unread
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_who_is_there_already_reads_what_was_said_before_he_came_and_none_of_it_is_news()
 {
    let Firm { mut world, anna, ben, carla, dora, hall, .. } = firm().await;
    carla.account.add_members(hall, vec![anna.account.user()]).await.unwrap();
    for phone in [&carla, &ben, &dora, &anna] {
        phone.settle().await;
    }
    says(&carla, hall, "Anna ist da", &[&ben, &dora, &anna]).await;
    assert_eq!(anna.texts(hall).await, ["Anna ist da"]);
    assert_eq!((unread(&anna, hall).await, unreadable(&anna, hall).await), (1, 0));
    anna.account.take_notifications(50).await.unwrap();
    world.revoke("ben").await;
    world.hands_over(("ben", "anna"), &Wanted::default(), &BOTH).await.unwrap();
    gets(&anna, hall, "nur Ben und Carla", &[&carla]).await;
    rounds(&[&anna, &carla, &dora]).await;

    let all = ["nur Ben und Carla", "nun auch Dora", "Kran steht seit Montag", "Anna ist da"];
    assert_eq!(anna.texts(hall).await, all);
    assert_eq!((unread(&anna, hall).await, unreadable(&anna, hall).await), (1, 0));
    assert!(anna.account.take_notifications(50).await.unwrap().is_empty(), "nothing rings");
    let row = anna.account.conversation(hall).await.unwrap().unwrap();
    assert_eq!((row.state, row.handed), (LogState::Active, None), "it is her own conversation");
    let found = anna.account.search(SearchQuery::words("kran"), None, 10).await.unwrap();
    assert_eq!(found.hits.len(), 1);
    says(&anna, hall, "ich lese mit", &[&carla]).await;
    assert_eq!(carla.texts(hall).await.last().map(String::as_str), Some("ich lese mit"));
    for phone in [&anna, &carla, &dora] {
        assert_eq!(phone.alarms().await, 0);
        assert_eq!((grants(phone, hall).await, lines(phone, hall).await.len()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_who_was_away_for_a_while_reads_that_while_as_well_and_in_its_place() {
    let Firm { mut world, anna, ben, carla, dora, hall, .. } = firm().await;
    let others = [&carla, &ben, &dora, &anna];
    carla.account.add_members(hall, vec![anna.account.user()]).await.unwrap();
    for phone in others {
        phone.settle().await;
    }
    says(&ben, hall, "Anna ist da", &[&carla, &dora, &anna]).await;
    carla.account.remove_member(hall, anna.account.user()).await.unwrap();
    for phone in others {
        phone.settle().await;
    }
    says(&ben, hall, "Anna ist weg", &[&carla, &dora]).await;
    anna.account.sync_all().await.unwrap();
    carla.account.add_members(hall, vec![anna.account.user()]).await.unwrap();
    for phone in others {
        phone.settle().await;
    }
    says(&ben, hall, "Anna ist wieder da", &[&carla, &dora, &anna]).await;
    assert_eq!(anna.texts(hall).await, ["Anna ist da", "Anna ist wieder da"]);
    assert_eq!(unread(&anna, hall).await, 2);
    world.hands_over(("ben", "anna"), &Wanted::default(), &BOTH).await.unwrap();
    gets(&anna, hall, "Anna ist weg", &[&ben, &carla, &dora]).await;
    gets(&anna, hall, "nur Ben und Carla", &[&ben, &carla, &dora]).await;
    let all = [
        "nur Ben und Carla",
        "nun auch Dora",
        "Kran steht seit Montag",
        "Anna ist da",
        "Anna ist weg",
        "Anna ist wieder da",
    ];
    assert_eq!(anna.texts(hall).await, all);
    assert_eq!((unread(&anna, hall).await, unreadable(&anna, hall).await), (2, 0));
    for phone in [&anna, &ben, &carla, &dora] {
        assert_eq!(phone.alarms().await, 0);
    }
}
