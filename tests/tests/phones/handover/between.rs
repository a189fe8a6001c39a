//! Several handovers, of several people and one after another; and who hears of them.

use super::*;

/// Goes on until a phone of those who are there has given something in a conversation.
async fn is_given(by: &[&Phone], log: LogId, count: i64) {
    let given = async {
        while grants(by[0], log).await < count {
            rounds(by).await;
        }
    };
    tokio::time::timeout(PATIENCE, given).await.expect("it is given at all");
}

/// When this was said, by the log's clock.
async fn said_ms(phone: &Phone, log: LogId, text: &str) -> u64 {
    let rows = phone.account.timeline(log, Window::Newest, 500).await.unwrap().rows;
    rows.into_iter().find(|row| row.text.as_deref() == Some(text)).unwrap().t_ms
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_handover_hear_whom_it_concerns_and_nobody_else() {
    let Firm { mut world, anna, ben, carla, hall, .. } = firm().await;
    let eva = world.phone("eva").await;
    eva.account.sync_all().await.unwrap();
    eva.writes_first(&carla, "Hallo").await;
    let wanted = Wanted { logs: vec![hall], ..Wanted::default() };
    world.hands_over(("ben", "anna"), &wanted, &BOTH).await.unwrap();
    for (phone, hears) in [(&anna, true), (&ben, true), (&carla, true), (&eva, false)] {
        phone.account.sync_all().await.unwrap();
        let known = phone.account.policy().await.unwrap().handovers;
        let whole: Vec<_> = known.iter().map(|known| known.is_whole).collect();
        assert_eq!(whole, if hears { vec![false] } else { vec![] });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_handover_everybody_who_is_there_is_told() {
    let Firm { mut world, anna, ben, carla, dora, hall, .. } = firm().await;
    let eva = world.phone("eva").await;
    let mut given = Vec::new();
    for (handle, to) in [("anna", &anna), ("eva", &eva)] {
        world.hands_over(("ben", handle), &Wanted::default(), &BOTH).await.unwrap();
        given.push((ben.account.user(), to.account.user()));
        is_given(&[&carla], hall, given.len() as i64).await;
    }
    assert_eq!(lines(&carla, hall).await, given);
    // Dora was away, and takes both in at once.
    dora.account.sync_all().await.unwrap();
    assert_eq!(lines(&dora, hall).await, given);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wider_handover_adds_is_given_as_well() {
    let Firm { mut world, anna, carla, hall, .. } = firm().await;
    let until = Some(said_ms(&carla, hall, "nur Ben und Carla").await);
    let narrow = Wanted { until, ..Wanted::default() };
    world.hands_over(("ben", "anna"), &narrow, &BOTH).await.unwrap();
    gets(&anna, hall, "nur Ben und Carla", &[&carla]).await;
    assert_eq!(anna.texts(hall).await, ["nur Ben und Carla"]);
    world.hands_over(("ben", "anna"), &Wanted::default(), &BOTH).await.unwrap();
    gets(&anna, hall, "Kran steht seit Montag", &[&carla]).await;
    let all = ["nur Ben und Carla", "nun auch Dora", "Kran steht seit Montag"];
    assert_eq!(anna.texts(hall).await, all);
    assert_eq!(anna.alarms().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_handover_that_was_narrowed_before_its_keys_came_the_rest_comes_and_nobody_is_blamed()
{
    let Firm { mut world, anna, carla, hall, .. } = firm().await;
    world.hands_over(("ben", "anna"), &Wanted::default(), &BOTH).await.unwrap();
    is_given(&[&carla], hall, 1).await;
    let until = Some(said_ms(&carla, hall, "nur Ben und Carla").await);
    let narrow = Wanted { until, ..Wanted::default() };
    world.hands_over(("ben", "anna"), &narrow, &BOTH).await.unwrap();
    gets(&anna, hall, "nur Ben und Carla", &[]).await;
    assert_eq!(anna.texts(hall).await, ["nur Ben und Carla"]);
    assert_eq!(anna.alarms().await, 0);
}
