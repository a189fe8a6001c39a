//! A leaver's past handed over as those do it who have to sign it, each with a process of their own.

use std::fs;

use super::*;

const REQUEST: &[&str] = &["admin", "handover", "request"];
const SIGN: &[&str] = &["admin", "handover", "sign"];
const SUBMIT: &[&str] = &["admin", "handover", "submit"];
const LIST: &[&str] = &["admin", "handover", "list"];

impl Company {
    /// A company with two people in it.
    async fn with_two() -> Self {
        let company = Self::founded();
        company.phone("anna", "Anna Berg").await;
        company.phone("ben", "Ben Kaya").await;
        company
    }

    /// HR asks for a handover into a file of this name, and signs it; the file and what was printed.
    fn asked(&self, name: &str, arguments: &[&str]) -> (String, Output) {
        let file = self.path(name).to_str().unwrap().to_owned();
        let output = self.run("hr", REQUEST, &[arguments, &["--out", &file]].concat());
        (file, output)
    }

    fn handed(&self, holder: &str) -> Vec<String> {
        self.must(holder, LIST, NONE).lines().map(str::to_owned).collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_50_hr_and_council_sign_a_handover_together_and_end_it_the_same_way() {
    let company = Company::with_two().await;
    company.must("hr", &["admin", "revoke", "ben"], &["--reason", "left"]);
    let between = ["--from", "ben", "--to", "anna"];

    // Nobody signs what he was not shown, and nobody is there to be asked.
    let (file, unread) = company.asked("handover.json", &between);
    assert_eq!(unread.status.code(), Some(2), "{}", said(&unread));
    assert!(!Path::new(&file).exists());
    let (file, made) = company.asked("handover.json", &[&between[..], &["--yes"]].concat());
    let shown = said(&made);
    assert!(made.status.success(), "{shown}");
    assert!(shown.contains("What ben had in conversations is handed over to anna:"), "{shown}");
    assert!(shown.contains("ALL conversations in which ben was"), "{shown}");
    assert!(shown.contains("Next: HR and the works council sign it"), "{shown}");

    // HR alone does not do, nor with an admin in the council's place.
    let submit = || company.run("hr", SUBMIT, &[&file]);
    let early = submit();
    assert_eq!(early.status.code(), Some(4), "{}", said(&early));
    assert!(said(&early).contains("signatures of HR and the works council"), "{}", said(&early));
    let content = fs::read(&file).unwrap();
    let unread = company.run("council-1", SIGN, &[&file]);
    assert_eq!((unread.status.code(), fs::read(&file).unwrap()), (Some(2), content.clone()));
    company.must("admin", SIGN, &[&file, "--yes"]);
    assert_eq!(submit().status.code(), Some(4), "HR and an admin");
    fs::write(&file, content).unwrap();
    assert_eq!(company.handed("council-1"), [] as [&str; 0], "nothing of it holds");
    let signed = company.run("council-1", SIGN, &[&file, "--yes"]);
    assert!(signed.status.success(), "{}", said(&signed));
    assert!(said(&signed).contains("is handed over to anna:"), "{}", said(&signed));
    let submitted = company.must("hr", SUBMIT, &[&file]);
    let entry = submitted.strip_prefix("handed over by entry ").unwrap();
    let entry = entry.strip_suffix(" of the company log").unwrap().to_owned();
    for holder in ["council-2", "admin"] {
        let [row] = &company.handed(holder)[..] else { panic!("one handover") };
        let fields: Vec<_> = row.split('\t').collect();
        assert_eq!(fields[0], entry, "{row}");
        assert_eq!(fields[2..], ["ben", "anna", "all conversations"], "{row}");
    }

    // Its end takes the same signatures.
    let nothing = [&between[..], &["--nothing", "--yes"]].concat();
    let (file, made) = company.asked("end.json", &nothing);
    assert!(made.status.success(), "{}", said(&made));
    let words = "Nothing of what ben had is handed over to anna any more.";
    assert!(said(&made).contains(words), "{}", said(&made));
    assert_eq!(company.run("hr", SUBMIT, &[&file]).status.code(), Some(4), "HR alone");
    company.must("council-2", SIGN, &[&file, "--yes"]);
    company.must("hr", SUBMIT, &[&file]);
    let rows = company.handed("hr");
    assert!(rows.iter().all(|row| row.ends_with("\tben\tanna\tnothing any more")), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_that_can_hand_nothing_over_is_refused_and_leaves_no_file() {
    let company = Company::with_two().await;
    company.must("admin", &["admin", "invite", "cem"], &["--name", "Cem Yildiz"]);
    let refused = |arguments: &[&str], code, words: &str| {
        let (file, output) = company.asked("wrong.json", &[arguments, &["--yes"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
        assert!(!Path::new(&file).exists(), "{arguments:?}");
    };
    let unknown = "there is no person `dora`";
    refused(&["--from", "dora", "--to", "anna"], 4, unknown);
    refused(&["--from", "ben", "--to", "dora"], 4, unknown);
    refused(&["--from", "ben", "--to", "ben"], 2, "`ben` cannot take over from himself");
    refused(&["--from", "cem", "--to", "anna"], 4, "`cem` never had a device");
    refused(&["--from", "ben", "--to", "cem"], 4, "`cem` has no active device");
    let ben_to_anna = ["--from", "ben", "--to", "anna"];
    let with = |more: &[&'static str]| [&ben_to_anna[..], more].concat();
    refused(&with(&["--nothing"]), 4, "nothing is handed over between these two");
    let backwards = with(&["--since", "2026-02-01", "--until", "2026-01-01"]);
    refused(&backwards, 2, "the period ends before it begins");
    refused(&with(&["--nothing", "--since", "2026-02-01"]), 2, "cannot be used with");
}
