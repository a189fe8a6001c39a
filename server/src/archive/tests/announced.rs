//! One announcement in several rooms is one to an auditor, with the confirmations of all of them.

use hauspost_protocol::body::LogType;
use hauspost_protocol::content::{AnnouncementId, Control, Message as Said};
use hauspost_protocol::encoding::encode;
use hauspost_protocol::ids::MessageId;

use super::super::announced::joined;
use super::super::testing::{Phone, Room};
use super::*;

const ID: AnnouncementId = AnnouncementId([7; 16]);

/// Anna announces in a room; the message's id.
fn announce(world: &mut World, room: &mut Room, anna: &mut Phone) -> MessageId {
    let text = Said::text([1; 16], "Versammlung").asking_to_confirm().announced_as(ID);
    let bytes = text.to_bytes().unwrap();
    let id = text.id(&bytes, world.id(), anna.user(), room.log);
    world.claim(room, anna, 0, "", |statement| statement.content = Bytes(bytes));
    id
}

/// The phone at leaf 1 confirms it.
fn confirm(world: &mut World, room: &mut Room, phone: &mut Phone, about: MessageId) {
    world.claim(room, phone, 1, "", |statement| {
        statement.ptype = PayloadType::Control;
        statement.content = Bytes(encode(&Control::Acknowledge(about)));
    });
}

/// Of each room how many are asked and have confirmed; and of what is joined its id, in how many rooms it is, and
/// the same.
type Counted = (Vec<(usize, usize)>, Vec<(String, usize, usize, usize)>);

/// Anna's announcement in two rooms of this type, one with Ben and one with Cem, who confirm it, and Ben in both:
/// the lists of the rooms, and what is joined of them.
fn read_two(r#type: LogType) -> Counted {
    let mut world = World::founded();
    let (mut anna, mut ben, mut cem) = (world.phone(1), world.phone(2), world.phone(3));
    let mut hall = world.room_of(r#type, &mut anna, &mut [&mut ben]);
    let mut office = world.room_of(r#type, &mut anna, &mut [&mut cem, &mut ben]);
    let here = announce(&mut world, &mut hall, &mut anna);
    let there = announce(&mut world, &mut office, &mut anna);
    confirm(&mut world, &mut hall, &mut ben, here);
    confirm(&mut world, &mut office, &mut cem, there);
    let talk = Talk { world, room: hall.log, other: office.log };
    let both = |talk: &Talk| {
        let logs = [talk.room, talk.other].map(|log| (log, Seq(0), None)).to_vec();
        Scope { logs, ..Scope::default() }
    };
    let readings = Sides::of(talk, both).read();
    let count = |(_, reading): &(LogId, Reading)| {
        assert_eq!(reading.findings, []);
        let [list] = &reading.confirmations[..] else { panic!("one message asks") };
        (list.asked(), list.confirmed())
    };
    let rooms = readings.iter().map(count).collect();
    let all = readings.into_iter().flat_map(|(_, reading)| reading.announced).collect();
    let joined = joined(all).into_iter().map(|announced| {
        let (list, (author, id)) = (announced.list, announced.name);
        assert_eq!((list.author, author), (author, UserId([1; 16])));
        (id, announced.rooms, list.asked(), list.confirmed())
    });
    (rooms, joined.collect())
}

#[test]
fn one_announcement_in_two_rooms_has_one_list_of_its_confirmations_beside_those_of_the_rooms() {
    let (rooms, joined) = read_two(LogType::Announce);
    assert_eq!(rooms, [(1, 1), (2, 1)], "who is in both is asked in both");
    assert_eq!(joined, [(ID.to_string(), 2, 2, 2)], "and each person counts once");
}

#[test]
fn what_calls_itself_an_announcement_in_a_group_is_none() {
    let (rooms, joined) = read_two(LogType::Group);
    assert_eq!((rooms, joined), (vec![(1, 1), (2, 1)], Vec::new()));
}
