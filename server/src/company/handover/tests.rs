use hauspost_protocol::crypto::Secret;
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::ids::Seq;

use super::*;

const LOG: LogId = LogId([7; 16]);

fn entry(scope: Scope) -> HandoverEntry {
    HandoverEntry { seen: None, from: UserId([1; 16]), to: UserId([2; 16]), scope }
}

fn name(user: UserId) -> String {
    if user == UserId([1; 16]) { "ben".into() } else { "anna".into() }
}

#[test]
fn a_signer_reads_whose_past_goes_to_whom_and_how_much_of_it() {
    let all = words(&entry(Scope::default()), &name);
    assert!(all[0].contains("ben") && all[0].contains("anna"), "{all:?}");
    assert!(all[1].contains("ALL conversations"), "{all:?}");
    let wanted = Wanted { logs: vec![LOG], since: Some(0), until: Some(5), nothing: false };
    let some = words(&entry(wanted.scope().unwrap()), &name);
    assert!(some.iter().any(|line| line.contains(&LOG.to_string())), "{some:?}");
    assert!(some.iter().any(|line| line.contains("not before 1970-01-01")), "{some:?}");
    assert!(some.iter().all(|line| !line.contains("ALL")), "{some:?}");
    let none = Wanted { nothing: true, ..Wanted::default() }.scope().unwrap();
    assert!(words(&entry(none.clone()), &name)[0].contains("any more"));
    assert!(!none.may_touch(LOG, Seq(0), 0) && !none.may_touch(LOG, Seq(0), 1));
}

#[test]
fn a_scope_that_names_a_log_twice_or_ends_before_it_begins_is_refused() {
    let twice = Wanted { logs: vec![LOG, LOG], ..Wanted::default() };
    assert!(matches!(twice.scope(), Err(HandoverError::Twice(LOG))));
    let back = Wanted { since: Some(9), until: Some(8), ..Wanted::default() };
    assert!(matches!(back.scope(), Err(HandoverError::Period)));
    let many = Wanted { logs: vec![LOG; limits::RANGES + 1], ..Wanted::default() };
    assert!(matches!(many.scope(), Err(HandoverError::TooMany)));
}

#[test]
fn a_request_of_another_kind_is_nothing_to_sign_here() {
    let mut approval = Approval::new(CompanyId([1; 16]), entry(Scope::default()));
    approval.sign(&SigningKey::from_seed(Secret::new([3; 32])));
    assert_eq!(read(&approval).unwrap().to, UserId([2; 16]));
    let hold = hauspost_protocol::company::body::ReleaseEntry { seen: None, hold: Seq(4) };
    let other = Approval::new(CompanyId([1; 16]), hold);
    assert!(matches!(read(&other), Err(HandoverError::NotAHandover)));
}
