//! The page "What my company can see", in each language: plain sentences that follow from the signed policy
//! and from nothing else.

use hauspost_core::account::PolicyInForce;
use hauspost_core::notify::QuietHours;
use hauspost_protocol::company::policy::{QuietPlan, WhoMayCallAll};

use super::fill;

/// What the page says.
#[derive(Debug)]
pub struct CompanyWords {
    /// Its title.
    pub title: &'static str,
    /// What holds always: the archive, with officers, council members and openings; how often it was opened: never,
    /// so many times; the operator; delivery; large rooms.
    pub archive: &'static str,
    /// See `archive`.
    pub opened: [&'static str; 2],
    /// See `archive`.
    pub operator: &'static str,
    /// See `archive`.
    pub delivery: &'static str,
    /// See `archive`.
    pub large_rooms: &'static str,
    /// Off and on: receipts, typing, last seen, statistics, history for members.
    pub receipts: [&'static str; 2],
    /// See `receipts`.
    pub typing: [&'static str; 2],
    /// See `receipts`.
    pub last_seen: [&'static str; 2],
    /// See `receipts`.
    pub statistics: [&'static str; 2],
    /// See `receipts`.
    pub history: [&'static str; 2],
    /// For how many days receipts are kept.
    pub kept: &'static str,
    /// This person withholds receipts.
    pub withheld: &'static str,
    /// A handover: by HR alone, with the council.
    pub handover: [&'static str; 2],
    /// A handover that concerns this person: from whom, to whom, since when; all that was said, or what lies in a
    /// scope.
    pub handed: [&'static str; 2],
    /// Alarms: of nobody, of some.
    pub alarms: [&'static str; 2],
    /// Everybody is called by everyone, owners, nobody.
    pub at_all: [&'static str; 3],
    /// Quiet hours: none, by the policy, the person's own; of a zone.
    pub quiet: [&'static str; 3],
    /// Days of the week, short.
    pub days: [&'static str; 7],
    /// The policy's version and entry, and its fingerprints; and that there is none.
    pub signed: &'static str,
    /// See `signed`.
    pub unsigned: &'static str,
    /// The keys at the foot.
    pub foot: &'static [(&'static str, &'static str)],
    /// The lines of the help.
    pub help: &'static [(&'static str, &'static str)],
}

/// What this person does not show, and therefore does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Withheld {
    /// What he read.
    pub receipts: bool,
    /// That he types.
    pub typing: bool,
    /// When he was last there.
    pub last_seen: bool,
}

impl CompanyWords {
    /// The page, a paragraph each.
    pub fn page(
        &self,
        policy: &PolicyInForce,
        quiet: &QuietHours,
        withheld: Withheld,
    ) -> Vec<String> {
        let (council, general) = (&policy.terms.council, &policy.terms.general);
        let opened = match policy.openings {
            0 => self.opened[0].to_owned(),
            count => fill(self.opened[1], &[&count.to_string()]),
        };
        let people = [policy.officers.to_string(), policy.council.to_string()];
        let archive = fill(self.archive, &[&people[0], &people[1]]);
        let mut page = vec![format!("{archive} {opened}"), self.operator.to_owned()];
        page.push(self.delivery.to_owned());
        let mut receipts = self.receipts[usize::from(council.read_receipts)].to_owned();
        if council.read_receipts {
            receipts.push(' ');
            receipts.push_str(&fill(self.kept, &[&council.behaviour_days.to_string()]));
            if withheld.receipts {
                receipts.push(' ');
                receipts.push_str(self.withheld);
            }
        }
        page.push(receipts);
        for (says, on, withheld) in [
            (self.typing, council.typing, withheld.typing),
            (self.last_seen, council.last_seen, withheld.last_seen),
        ] {
            let says = says[usize::from(on)];
            page.push(match on && withheld {
                true => format!("{says} {}", self.withheld),
                false => says.to_owned(),
            });
        }
        page.push(self.statistics[usize::from(council.statistics)].to_owned());
        page.push(self.history[usize::from(council.history_for_members)].to_owned());
        page.push(self.handover[usize::from(council.handover_council)].to_owned());
        page.push(self.alarms[usize::from(!council.alarms.is_empty())].to_owned());
        page.push(
            match general.at_all {
                WhoMayCallAll::Everyone => self.at_all[0],
                WhoMayCallAll::Owners => self.at_all[1],
                WhoMayCallAll::Nobody => self.at_all[2],
            }
            .to_owned(),
        );
        let (which, plan) = match &quiet.own {
            Some(own) => (2, own),
            None if quiet.by_policy.0.is_empty() => (0, &quiet.by_policy),
            None => (1, &quiet.by_policy),
        };
        page.push(fill(self.quiet[which], &[&self.plan(plan), &quiet.zone.name]));
        page.push(self.large_rooms.to_owned());
        page.push(match policy.version.zip(policy.entry) {
            None => self.unsigned.to_owned(),
            Some((version, entry)) => fill(
                self.signed,
                &[
                    &version.to_string(),
                    &entry.to_string(),
                    &policy.fingerprint.to_string(),
                    &policy.council_fingerprint.to_string(),
                ],
            ),
        });
        page
    }

    fn plan(&self, plan: &QuietPlan) -> String {
        let spans = plan.0.iter().map(|span| {
            let days = self.days.iter().enumerate();
            let days: Vec<_> = days.filter(|(at, _)| span.days >> at & 1 == 1).collect();
            let days: Vec<_> = days.into_iter().map(|(_, day)| *day).collect();
            let clock = |minute: u64| format!("{:02}:{:02}", minute / 60, minute % 60);
            let (from, to) = (clock(span.from_minute), clock(span.to_minute));
            match days.len() {
                7 => format!("{from}–{to}"),
                _ => format!("{} {from}–{to}", days.join(" ")),
            }
        });
        let spans: Vec<_> = spans.collect();
        if spans.is_empty() { "–".to_owned() } else { spans.join(", ") }
    }
}

/// English.
pub(super) const ENGLISH: CompanyWords = CompanyWords {
    title: "What my company can see",
    archive: "Everything written here belongs to the company's archive. Nobody can read it alone: two of {} compliance officers \
        and one of {} works council members open it together, for a purpose and an extent that are written down first.",
    opened: ["It was never opened so far.", "It was opened {} times so far."],
    operator: "Whoever runs the server cannot read messages, documents or names of conversations. He sees who writes in which \
        conversation, when, and how much.",
    delivery: "The server knows what each phone has fetched, and says of your messages on how many phones they are. It keeps no \
        record of that.",
    large_rooms: "Conversations of more than 100 devices are not protected against a quantum computer of the future that reads \
        what somebody recorded today; the archive's keys and smaller conversations are.",
    receipts: [
        "Nobody sees whether you read a message.",
        "Colleagues see that you read their messages, and you see it of them.",
    ],
    typing: [
        "Nobody sees that you are writing.",
        "Colleagues see that you are writing to them just now, and you see it of them. Nobody keeps it.",
    ],
    last_seen: [
        "Nobody sees when you were last here.",
        "In conversations of two your colleague sees whether you are here, or when you last were, and you see it of him. The \
            server cannot read it, and forgets it after a day at most.",
    ],
    statistics: [
        "Nothing is counted for single people.",
        "The company may count what single people do.",
    ],
    history: [
        "Whoever joins a conversation reads what was written before only where the conversation says so.",
        "Whoever joins a conversation can read what was written before.",
    ],
    kept: "Phones forget it after {} days.",
    withheld: "You withhold it, so you do not see it of others either.",
    handover: [
        "When somebody leaves, HR alone can hand his conversations to a successor.",
        "When somebody leaves, HR can hand his conversations to a successor only together with the works council.",
    ],
    handed: [
        "What {} had in conversations was handed over to {} ({}).",
        "Some of what {} had in conversations was handed over to {} ({}).",
    ],
    alarms: [
        "Nobody can ring in your quiet hours.",
        "People whom the works council agreed to can send alarms that ring in your quiet hours; each stands in the archive.",
    ],
    at_all: [
        "Everybody in a conversation can call all by @all.",
        "Only owners of a conversation can call all by @all.",
        "Nobody can call all by @all.",
    ],
    quiet: [
        "The company sets no quiet hours. Your own: /quiet 20:00-06:00",
        "Quiet hours by the company: {} ({}). Your own: /quiet 20:00-06:00",
        "Your quiet hours: {} ({}).",
    ],
    days: ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"],
    signed: "Version {} of the policy, signed by admin and HR and, where it can watch people, by the works council: entry {} of the \
        company log. Fingerprint {}; of the council's part {}.",
    unsigned: "There is no signed policy yet; this is what holds without one.",
    foot: &[("↑↓", "scroll"), ("Esc", "close")],
    help: &[
        ("/alarm TEXT", "an alarm, which rings in quiet hours"),
        ("/company", "what the company can see"),
        ("/quiet 20:00-06:00", "quiet hours; off: none; policy: the company's"),
        ("/receipts off", "nobody sees what you read, nor you; on"),
    ],
};

/// German.
pub(super) const GERMAN: CompanyWords = CompanyWords {
    title: "Was meine Firma sehen kann",
    archive: "Alles hier Geschriebene gehört ins Archiv der Firma. Niemand kann es allein lesen: zwei von {} Compliance-Beauftragten \
        und einer von {} aus dem Betriebsrat öffnen es gemeinsam, für einen Zweck und einen Umfang, die vorher festgehalten werden.",
    opened: ["Bisher wurde es nie geöffnet.", "Bisher wurde es {} Mal geöffnet."],
    operator: "Wer den Server betreibt, kann weder Nachrichten noch Dokumente noch Namen von Unterhaltungen lesen. Er sieht, wer in \
        welcher Unterhaltung schreibt, wann und wie viel.",
    delivery: "Der Server weiß, was jedes Gerät abgeholt hat, und sagt von deinen Nachrichten, auf wie vielen Geräten sie sind. Er hält \
        das nirgends fest.",
    large_rooms: "Unterhaltungen mit mehr als 100 Geräten sind nicht gegen einen künftigen Quantenrechner geschützt, der liest, was \
        heute jemand aufzeichnet; die Schlüssel des Archivs und kleinere Unterhaltungen sind es.",
    receipts: [
        "Niemand sieht, ob du eine Nachricht gelesen hast.",
        "Kollegen sehen, dass du ihre Nachrichten gelesen hast, und du siehst es von ihnen.",
    ],
    typing: [
        "Niemand sieht, dass du gerade schreibst.",
        "Kollegen sehen, dass du ihnen gerade schreibst, und du siehst es von ihnen. Niemand hält es fest.",
    ],
    last_seen: [
        "Niemand sieht, wann du zuletzt da warst.",
        "In Unterhaltungen zu zweit sieht dein Gegenüber, ob du da bist oder wann du zuletzt da warst, und du siehst es von ihm. Der \
            Server kann es nicht lesen und vergisst es spätestens nach einem Tag.",
    ],
    statistics: [
        "Für einzelne Menschen wird nichts gezählt.",
        "Die Firma darf zählen, was Einzelne tun.",
    ],
    history: [
        "Wer zu einer Unterhaltung kommt, liest Früheres nur, wo die Unterhaltung es so vorsieht.",
        "Wer zu einer Unterhaltung kommt, kann Früheres lesen.",
    ],
    kept: "Geräte vergessen es nach {} Tagen.",
    withheld: "Du hältst es zurück und siehst es deshalb auch von anderen nicht.",
    handover: [
        "Wenn jemand geht, kann das Personalwesen allein seine Unterhaltungen einem Nachfolger übergeben.",
        "Wenn jemand geht, kann das Personalwesen seine Unterhaltungen nur gemeinsam mit dem Betriebsrat einem Nachfolger übergeben.",
    ],
    handed: [
        "Was {} in Unterhaltungen hatte, wurde an {} übergeben ({}).",
        "Ein Teil dessen, was {} in Unterhaltungen hatte, wurde an {} übergeben ({}).",
    ],
    alarms: [
        "Niemand kann in deine Ruhezeit klingeln.",
        "Wem der Betriebsrat zugestimmt hat, der kann Alarme senden, die in deiner Ruhezeit klingeln; jeder steht im Archiv.",
    ],
    at_all: [
        "Jeder in einer Unterhaltung kann mit @alle alle rufen.",
        "Nur Eigentümer einer Unterhaltung können mit @alle alle rufen.",
        "Niemand kann mit @alle alle rufen.",
    ],
    quiet: [
        "Die Firma legt keine Ruhezeit fest. Deine eigene: /ruhe 20:00-06:00",
        "Ruhezeit der Firma: {} ({}). Deine eigene: /ruhe 20:00-06:00",
        "Deine Ruhezeit: {} ({}).",
    ],
    days: ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"],
    signed: "Version {} der Richtlinie, unterschrieben von Administration und Personalwesen und, wo sie Menschen beobachten kann, vom \
        Betriebsrat: Eintrag {} des Firmenlogs. Fingerabdruck {}; des Teils des Betriebsrats {}.",
    unsigned: "Es gibt noch keine unterschriebene Richtlinie; das hier gilt ohne eine.",
    foot: &[("↑↓", "blättern"), ("Esc", "zu")],
    help: &[
        ("/alarm TEXT", "ein Alarm, der in der Ruhezeit klingelt"),
        ("/firma", "was die Firma sehen kann"),
        ("/ruhe 20:00-06:00", "Ruhezeit; aus: keine; firma: die der Firma"),
        ("/gelesen aus", "niemand sieht, was du liest, und du nicht; an"),
    ],
};

#[cfg(test)]
mod tests {
    use hauspost_protocol::company::policy::{Callers, CouncilPart, QuietSpan, Terms, Zone};
    use hauspost_protocol::ids::{Digest, Seq, UserId};

    use super::*;

    fn policy(terms: Terms) -> PolicyInForce {
        PolicyInForce {
            version: Some(3),
            fingerprint: Digest([0xab; 32]),
            council_fingerprint: Digest([0xcd; 32]),
            entry: Some(Seq(17)),
            terms,
            officers: 3,
            council: 2,
            openings: 1,
            handovers: Vec::new(),
        }
    }

    fn quiet(own: Option<QuietPlan>) -> QuietHours {
        QuietHours { own, by_policy: QuietPlan::default(), zone: Zone::berlin() }
    }

    #[test]
    fn every_setting_that_can_watch_people_changes_a_sentence_and_no_place_stays_unfilled() {
        let council = CouncilPart {
            handover_council: false,
            read_receipts: true,
            typing: true,
            last_seen: true,
            statistics: true,
            behaviour_days: 7,
            alarms: Callers { roles: Vec::new(), users: vec![UserId([1; 16])] },
            history_for_members: true,
            later: Vec::new(),
        };
        let all = Withheld { receipts: true, typing: true, last_seen: true };
        let watching = Terms { council, ..Terms::default() };
        for words in [&ENGLISH, &GERMAN] {
            let off = words.page(&policy(Terms::default()), &quiet(None), Withheld::default());
            let on = words.page(&policy(watching.clone()), &quiet(None), all);
            assert_eq!(off.len(), on.len());
            let changed = off.iter().zip(&on).filter(|(off, on)| off != on).count();
            // The days for which receipts are kept stand beside them.
            assert_eq!(changed, CouncilPart::ITEMS.len() - 1);
            assert!(on.iter().chain(&off).all(|line| !line.contains("{}")));
            assert!(on.last().unwrap().contains(&"ab".repeat(32)));
            assert!(on.iter().any(|line| line.contains('7')));
        }
    }

    #[test]
    fn a_plan_of_quiet_hours_names_its_days_unless_it_is_all_of_them() {
        let span = |days| QuietSpan { days, from_minute: 1_200, to_minute: 360 };
        let plan = QuietPlan(vec![span(0b11), span(QuietSpan::EVERY_DAY)]);
        assert_eq!(GERMAN.plan(&plan), "Mo Di 20:00–06:00, 20:00–06:00");
        let page = ENGLISH.page(&policy(Terms::default()), &quiet(Some(plan)), Withheld::default());
        assert!(page.iter().any(|line| line.contains("20:00–06:00 (Europe/Berlin)")));
    }
}
