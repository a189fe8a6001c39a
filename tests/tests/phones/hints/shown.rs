//! What is said with what, to whom, and how long it is known.

use hauspost_core::store::rows::account;
use hauspost_protocol::hint::TYPING_PEOPLE;
use hauspost_protocol::mls::member::Suite;

use super::*;

/// What the newest hint of this phone's says in a conversation, of those that it sent.
async fn said_last(from: &Watched, bodies: &[Bytes], log: LogId) -> Said {
    let mut hints = bodies.iter().flat_map(|body| decode::<HintsRequest>(body).unwrap().hints);
    let hint = hints.rfind(|hint| hint.log == log).expect("it sent one");
    let opened = from.phone.account.store().read(move |conn| {
        let local = log::local(conn, log)?.unwrap();
        let (.., key) = epoch::hint_key(conn, local)?.unwrap();
        let account = account::find(conn)?.unwrap();
        Ok::<_, StoreError>((hint.open(&key).unwrap(), account.signing_key.public()))
    });
    let (opened, author) = opened.await.unwrap();
    opened.verify(&author).unwrap().said
}

#[tokio::test(flavor = "multi_thread")]
async fn who_types_says_that_he_is_there_only_if_he_is_and_only_in_conversations_of_two() {
    let (_world, [anna, ben, _], dm, group) = three(with_hints()).await;
    let sent = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = sent.clone();
    anna.network.changes_requests(path::HINTS, move |request| {
        keep.lock().unwrap().push(Bytes(request.body.to_vec()));
    });
    // By a program without a front, say.
    anna.types(dm).await;
    let seen = ben.sees(dm, |shown| shown.typing == [anna.user()]).await;
    assert_eq!(seen.last_seen, None);
    anna.comes_to_the_front().await;
    ben.sees(dm, |shown| shown.last_seen.is_some_and(|seen| seen.is_here)).await;
    anna.clock.advance(TYPING_EVERY_MS);
    anna.types(dm).await;
    anna.types(group).await;
    let bodies = sent.lock().unwrap().clone();
    assert_eq!(said_last(&anna, &bodies, dm).await, Said { here: true, ..TYPING });
    assert_eq!(said_last(&anna, &bodies, group).await, TYPING);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_one_moment_is_heard_one_after_another() {
    let (_world, [anna, ben, _], dm, _) = three(with_hints()).await;
    anna.comes_to_the_front().await;
    ben.sees(dm, |shown| shown.last_seen.is_some()).await;
    anna.types(dm).await;
    ben.sees(dm, |shown| shown.typing == [anna.user()]).await;
    // Whoever sets his clock back sees nobody in the future.
    let early_ms = ben.phone.env().clock.now_ms() - 60_000;
    ben.clock.set(early_ms);
    assert_eq!(ben.presence(dm).await.last_seen.map(|seen| seen.t_ms), Some(early_ms));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_from_a_group_is_not_shown_typing_there_any_more() {
    let (_world, [anna, ben, _], _, group) = three(with_hints()).await;
    ben.types(group).await;
    anna.sees(group, |shown| shown.typing == [ben.user()]).await;
    anna.phone.account.remove_member(group, ben.user()).await.unwrap();
    anna.phone.settle().await;
    assert!(anna.typing(group).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_keeps_no_phone_from_being_put_away() {
    let (_world, [anna, ..], _, _) = three(with_hints()).await;
    let held = anna.network.holds(path::HINTS);
    anna.phone.account.set_in_front(true);
    held.came().await;
    let put_away = anna.phone.account.suspend();
    tokio::pin!(put_away);
    assert!(futures_util::poll!(&mut put_away).is_pending());
    anna.clock.advance(2_000);
    tokio::time::timeout(PATIENCE, put_away).await.expect("put away at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_more_than_fifty_people_are_nobody_says_that_he_types() {
    let (world, [anna, ben, _], dm, _) = three(with_hints()).await;
    let company = anna.phone.account.company();
    let crowd = world.crowd(company, &[Suite::Hybrid], TYPING_PEOPLE - 1).await;
    let people = crowd.into_iter().chain([ben.user()]).collect();
    let many = anna.phone.account.create_group(None, people).await.unwrap();
    anna.phone.account.send_text(many, "An alle").await.unwrap();
    anna.phone.settle().await;
    let asked = anna.network.asked(path::HINTS);
    anna.types(many).await;
    assert_eq!(anna.network.asked(path::HINTS), asked);
    anna.types(dm).await;
    assert_eq!(anna.network.asked(path::HINTS), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_somebody_was_last_there_is_known_for_as_many_days_as_the_policy_says() {
    let (_world, [anna, ben, _], dm, _) = three(with_hints()).await;
    anna.comes_to_the_front().await;
    ben.sees(dm, |shown| shown.last_seen.is_some()).await;
    let kept = async || ben.phone.account.store().read(presence::people).await.unwrap().len();
    let days_ms = with_hints().council.behaviour_days * DAY_MS;
    for (more_ms, known) in [(days_ms - HERE_EVERY_MS, 1), (2 * HERE_EVERY_MS, 0)] {
        let age = move |tx: &hauspost_core::store::Tx<'_>| {
            tx.execute("UPDATE last_seen SET t_ms = t_ms - ?1", [more_ms as i64])?;
            Ok::<_, StoreError>(())
        };
        ben.phone.account.store().write(age).await.unwrap();
        ben.phone.account.forget_behaviour().await.unwrap();
        assert_eq!(kept().await, known);
    }
    // A phone from before there were hints does not know yet what its policy says of them.
    let older = |tx: &hauspost_core::store::Tx<'_>| account::forget_fact(tx, "presence-policy");
    ben.phone.account.store().write(older).await.unwrap();
    assert!(ben.phone.account.traces_shown().await.unwrap().is_nothing());
    ben.phone.account.forget_behaviour().await.unwrap();
    let shown = ben.phone.account.traces_shown().await.unwrap();
    assert!(shown.typing && shown.last_seen);
}
