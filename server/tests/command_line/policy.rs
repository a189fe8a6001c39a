//! The policy as those make it who have to sign it, each with a process of their own.

use std::fs;
use std::process::Output;

use super::{Company, NONE};

const SET: &[&str] = &["admin", "policy", "set"];
const SIGN: &[&str] = &["admin", "policy", "sign"];
const SUBMIT: &[&str] = &["admin", "policy", "submit"];

impl Company {
    fn policy_file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A request for the next version, signed by its maker.
    fn proposed(&self, name: &str, text: &str) -> String {
        let file = self.policy_file(&format!("{name}.toml"), text);
        let request = self.path(&format!("{name}.json")).to_str().unwrap().to_owned();
        self.must("admin", SET, &[&file, "--out", &request, "--yes"]);
        request
    }

    fn shown(&self, holder: &str) -> String {
        self.must(holder, &["admin", "policy", "show"], NONE)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line of a setting that `show` prints.
fn line<'t>(shown: &'t str, key: &str) -> &'t str {
    shown.lines().find(|line| line.starts_with(&format!("{key}\t"))).unwrap()
}

#[test]
fn a_policy_is_written_signed_by_each_who_has_to_and_obeyed_only_then() {
    let company = Company::founded();
    let before = company.shown("council-1");
    assert!(before.starts_with("policy\tversion 1, "), "{before}");
    let template = company.must("hr", &["admin", "policy", "template"], NONE);
    assert!(template.starts_with("# The policy, version 1."), "{template}");
    let changed = template.replace("read_receipts = false", "read_receipts = true");
    assert_ne!(changed, template);

    // What the file says is shown before anybody signs, and nobody is there to be asked.
    let file = company.policy_file("policy.toml", &changed);
    let request = company.path("policy-2.json").to_str().unwrap().to_owned();
    let unread = company.run("admin", SET, &[&file, "--out", &request]);
    assert_eq!(unread.status.code(), Some(2), "{}", said(&unread));
    assert!(!company.path("policy-2.json").exists());
    let made = company.run("admin", SET, &[&file, "--out", &request, "--yes"]);
    let shown = said(&made);
    assert!(made.status.success(), "{shown}");
    assert!(shown.contains("council.read_receipts (works council): off -> on"), "{shown}");
    assert!(shown.contains("the works council signs it too"), "{shown}");
    assert!(shown.contains("Signed as"), "{shown}");

    // Nobody submits it before all have signed, and who is asked and does not answer has not.
    let submit = || company.run("admin", SUBMIT, &[&request]);
    let early = submit();
    assert_eq!(early.status.code(), Some(4), "{}", said(&early));
    assert!(said(&early).contains("and of the works council"), "{}", said(&early));
    let content = fs::read(&request).unwrap();
    let unread = company.run("hr", SIGN, &[&request]);
    assert_eq!((unread.status.code(), fs::read(&request).unwrap()), (Some(2), content));
    company.must("hr", SIGN, &[&request, "--yes"]);
    assert_eq!(submit().status.code(), Some(4), "admin and HR alone");
    assert_eq!(company.shown("hr"), before, "nothing of it holds");
    let signed = company.run("council-1", SIGN, &[&request, "--yes"]);
    assert!(signed.status.success(), "{}", said(&signed));
    assert!(said(&signed).contains("Signed by 2 key(s)"), "{}", said(&signed));
    let submitted = company.must("admin", SUBMIT, &[&request]);
    assert!(submitted.starts_with("policy version 2 by entry "), "{submitted}");

    let shown = company.shown("council-2");
    assert!(shown.starts_with("policy\tversion 2, "), "{shown}");
    assert!(line(&shown, "council.read_receipts").starts_with("council.read_receipts\ton\t"));
    assert_ne!(line(&shown, "council's part"), line(&before, "council's part"));
    let template = company.must("admin", &["admin", "policy", "template"], NONE);
    assert!(template.starts_with("# The policy, version 2."), "{template}");
    assert!(template.contains("\nread_receipts = true\n"), "{template}");
    assert_eq!(submit().status.code(), Some(4), "it is there already");
}

#[test]
fn what_watches_nobody_needs_no_council_and_leaves_its_fingerprint() {
    let company = Company::founded();
    let before = company.shown("admin");
    let request = company.proposed("queue", "[conversations]\nqueue_hours = 5\n");
    let signed = company.run("hr", SIGN, &[&request, "--yes"]);
    let shown = said(&signed);
    assert!(shown.contains("conversations.queue_hours: "), "{shown}");
    assert!(!shown.contains("works council"), "{shown}");
    company.must("admin", SUBMIT, &[&request]);
    let after = company.shown("admin");
    assert!(line(&after, "conversations.queue_hours").contains("\t5 hours\t"), "{after}");
    assert_eq!(line(&after, "council's part"), line(&before, "council's part"));
    assert_ne!(line(&after, "fingerprint"), line(&before, "fingerprint"));

    let file = company.policy_file("again.toml", "[conversations]\nqueue_hours = 5\n");
    let out = company.path("again.json").to_str().unwrap().to_owned();
    let again = company.run("admin", SET, &[&file, "--out", &out, "--yes"]);
    assert_eq!(again.status.code(), Some(4), "{}", said(&again));
    let file = company.policy_file("wrong.toml", "[conversations]\nqueue_hour = 5\n");
    let wrong = company.run("admin", SET, &[&file, "--out", &out, "--yes"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
    assert!(said(&wrong).contains("admin policy template"), "{}", said(&wrong));
    assert!(!company.path("again.json").exists());
}

#[test]
fn nobody_signs_the_policy_of_another_company() {
    let (one, other) = (Company::founded(), Company::founded());
    let request = one.proposed("queue", "[conversations]\nqueue_hours = 5\n");
    let content = fs::read(&request).unwrap();
    let refused = other.run("hr", SIGN, &[&request, "--yes"]);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    assert!(said(&refused).contains("another company"), "{}", said(&refused));
    assert_eq!(fs::read(&request).unwrap(), content);
}
