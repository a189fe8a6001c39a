//! The line of a search: words, and filters such as `von:anna seit:2026-01 hat:datei`.
//!
//! Filters are understood in German and in English, whatever the client speaks. What is not one of
//! them is a word, also with a colon in it; a filter that cannot be understood is said, and nothing is
//! searched for until it can be.

use hauspost_core::read::{SearchKind, SearchQuery};
use hauspost_protocol::ids::{LogId, TimeMs, UserId};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::state::State;
use super::text;
use super::words::fill;

/// What a line asks for, or why it cannot be understood.
pub fn read(line: &str, state: &State) -> Result<SearchQuery, String> {
    let mut query = SearchQuery::default();
    for part in parts(line) {
        if !filter(&part, state, &mut query)? {
            query.words.push_str(&part);
            query.words.push(' ');
        }
    }
    query.words = query.words.trim_end().to_owned();
    Ok(query)
}

/// The parts of a line, at its spaces; what stands between quotes is one.
fn parts(line: &str) -> Vec<String> {
    let (mut parts, mut part, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' | '„' | '“' | '”' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Narrows the query by this part, if it is a filter.
fn filter(part: &str, state: &State, query: &mut SearchQuery) -> Result<bool, String> {
    let Some((name, value)) = part.split_once(':') else { return Ok(false) };
    let faults = &state.words.search_faults;
    let period = || period(value, state).ok_or_else(|| fill(faults[3], &[value]));
    match name.to_lowercase().as_str() {
        "von" | "from" => query.person = Some(person(value, state)?),
        "in" => query.conversation = Some(room(value, state)?),
        "seit" | "ab" | "since" => query.from_ms = Some(period()?.0),
        "bis" | "until" => query.before_ms = Some(period()?.1),
        "vor" | "before" => query.before_ms = Some(period()?.0),
        "am" | "im" | "on" => {
            let (from, before) = period()?;
            (query.from_ms, query.before_ms) = (Some(from), Some(before));
        }
        "hat" | "has" | "art" | "kind" => match text::folded(value).as_str() {
            "datei" | "anhang" | "file" | "attachment" => query.has_document = true,
            "dokument" | "document" => query.kind = Some(SearchKind::Document),
            "bild" | "foto" | "picture" | "photo" => query.kind = Some(SearchKind::Picture),
            "ton" | "sprachnachricht" | "sound" | "voice" => query.kind = Some(SearchKind::Sound),
            "video" | "film" => query.kind = Some(SearchKind::Video),
            "text" => query.kind = Some(SearchKind::Text),
            "ort" | "place" => query.kind = Some(SearchKind::Place),
            "kontakt" | "contact" => query.kind = Some(SearchKind::Contact),
            "umfrage" | "poll" => query.kind = Some(SearchKind::Poll),
            _ => return Err(fill(faults[4], &[value])),
        },
        _ => return Ok(false),
    }
    Ok(true)
}

/// The one person whose handle this is, or a part of whose name begins so.
fn person(value: &str, state: &State) -> Result<UserId, String> {
    let wanted = text::folded(value);
    if matches!(wanted.as_str(), "mir" | "ich" | "me") {
        return Ok(state.me);
    }
    let faults = &state.words.search_faults;
    if wanted.is_empty() {
        return Err(fill(faults[0], &[value]));
    }
    let mut fitting = Vec::new();
    for person in state.people.all() {
        if text::folded(&person.handle) == wanted {
            return Ok(person.user);
        }
        let name = text::folded(person.name.as_deref().unwrap_or_default());
        let begins = |at: usize| name[at..].starts_with(&wanted);
        let mut starts = name.match_indices([' ', '-']).map(|(at, _)| at + 1);
        if begins(0) || starts.any(begins) {
            fitting.push(person.user);
        }
    }
    match fitting[..] {
        [] => Err(fill(faults[0], &[value])),
        [one] => Ok(one),
        [one, other, ..] => {
            let several = [value, state.people.name(one), state.people.name(other)];
            Err(fill(faults[1], &several))
        }
    }
}

/// The newest conversation whose title holds this.
fn room(value: &str, state: &State) -> Result<LogId, String> {
    let wanted = text::folded(value);
    let mut rooms = state.rooms.rows.iter();
    let found = rooms.find(|row| text::folded(&state.title(row)).contains(&wanted));
    let found = found.filter(|_| !wanted.is_empty());
    found.map(|row| row.log).ok_or_else(|| fill(state.words.search_faults[2], &[value]))
}

/// Beginning and end of a day, month or year: `2026-11-25`, `25.11.2026`, `2026-11`, `11.2026`, `2026`,
/// today, yesterday.
fn period(value: &str, state: &State) -> Option<(TimeMs, TimeMs)> {
    let today = || {
        let now = Timestamp::from_millisecond(i64::try_from(state.now_ms).ok()?).ok()?;
        Some(now.to_zoned(state.zone.clone()).date())
    };
    let (first, length) = match text::folded(value).as_str() {
        "heute" | "today" => (today()?, Span::new().days(1)),
        "gestern" | "yesterday" => (today()?.yesterday().ok()?, Span::new().days(1)),
        _ => {
            let (mut numbers, separator) = match value.contains('.') {
                true => (value.split('.').rev().collect::<Vec<_>>(), '.'),
                false => (value.split('-').collect(), '-'),
            };
            // A day is written with a dot behind it as well, while its year is still to come.
            numbers.retain(|number| separator != '.' || !number.is_empty());
            let number = |at: usize| numbers.get(at).map(|text| text.parse::<i16>());
            let year = number(0)?.ok().filter(|year| (1970..=2200).contains(year))?;
            let part = |at| match number(at) {
                None => Some(None),
                Some(number) => i8::try_from(number.ok()?).ok().map(Some),
            };
            let (month, day) = (part(1)?, part(2)?);
            let length = match (month, day) {
                _ if numbers.len() > 3 => return None,
                (None, _) => Span::new().years(1),
                (_, None) => Span::new().months(1),
                _ => Span::new().days(1),
            };
            (Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?, length)
        }
    };
    let next = first.checked_add(length).ok()?;
    Some((begins_ms(first, &state.zone)?, begins_ms(next, &state.zone)?))
}

fn begins_ms(day: Date, zone: &TimeZone) -> Option<TimeMs> {
    let begins = day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
    u64::try_from(begins).ok()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{BEN, Client, LOG, ME, room};
    use super::*;

    const DAY_MS: u64 = 86_400_000;
    /// 25 November 2026.
    const TODAY_MS: u64 = 1_795_564_800_000;

    fn client() -> Client {
        Client::new(vec![room(9, "Tour Nord"), room(8, "Lager")])
    }

    fn asked(line: &str) -> SearchQuery {
        read(line, &client().state).unwrap()
    }

    fn fault(line: &str) -> String {
        read(line, &client().state).unwrap_err()
    }

    #[test]
    fn words_and_filters_stand_in_any_order_and_in_either_language() {
        let wanted = SearchQuery {
            person: Some(BEN),
            conversation: Some(LOG),
            has_document: true,
            from_ms: Some(1_767_225_600_000),
            ..SearchQuery::words("Rechnung Weiß")
        };
        assert_eq!(asked("Rechnung von:ben seit:2026-01 hat:datei Weiß in:nord"), wanted);
        assert_eq!(asked("from:kay since:1.2026 Rechnung has:file in:\"tour nord\" Weiß"), wanted);
        assert_eq!(asked("von:mir").person, Some(ME));
        assert_eq!(asked("art:Umfrage Kantine"), asked("kind:poll Kantine"));
        assert_eq!(asked("art:ort").kind, Some(SearchKind::Place));
        assert_eq!(asked("hat:kontakt").kind, Some(SearchKind::Contact));
        assert_eq!(asked("from:\"Ben K\"").person, Some(BEN));
    }

    #[test]
    fn a_colon_alone_makes_no_filter() {
        for line in ["um 10:30", "https://hauspost.example", "Re: Angebot", "a:b"] {
            assert_eq!(asked(line), SearchQuery::words(line), "{line}");
        }
    }

    #[test]
    fn a_period_is_a_day_a_month_or_a_year() {
        let both = |line: &str| (asked(line).from_ms.unwrap(), asked(line).before_ms.unwrap());
        for day in ["am:25.11.2026", "on:2026-11-25", "am:heute", "on:today"] {
            assert_eq!(both(day), (TODAY_MS, TODAY_MS + DAY_MS), "{day}");
        }
        assert_eq!(both("am:gestern"), (TODAY_MS - DAY_MS, TODAY_MS));
        let november = TODAY_MS - 24 * DAY_MS;
        assert_eq!(both("im:11.2026"), (november, november + 30 * DAY_MS));
        let year = 1_767_225_600_000;
        assert_eq!(both("im:2026"), (year, year + 365 * DAY_MS));
        assert_eq!(both("seit:gestern bis:heute"), (TODAY_MS - DAY_MS, TODAY_MS + DAY_MS));
        assert_eq!(both("seit:2026 vor:heute"), (year, TODAY_MS));
    }

    #[test]
    fn a_filter_that_cannot_be_understood_says_so() {
        let table = [
            ("von:xaver", "nobody"),
            ("von:", "nobody"),
            ("in:keller", "no conversation"),
            ("in:", "no conversation"),
            ("seit:32.1.2026", "no date"),
            ("seit:morgen", "no date"),
            ("bis:1.2.3.2026", "no date"),
            ("seit:", "no date"),
            ("am:2026-02-30", "no date"),
            ("hat:hunger", "no kind"),
        ];
        for (line, says) in table {
            let fault = fault(line);
            assert!(fault.to_lowercase().contains(says), "{line}: {fault}");
        }
    }

    #[test]
    fn a_name_that_several_bear_is_not_guessed() {
        let mut client = client();
        let people = ["Anna Berg", "Anna Groß"].iter().zip([ME, BEN]).map(|(name, user)| {
            let handle = name.to_lowercase().replace(' ', ".");
            hauspost_protocol::wire::Person { user, handle, name: Some((*name).to_owned()) }
        });
        client.hear(super::super::event::Event::People(people.collect()));
        let fault = read("von:anna", &client.state).unwrap_err();
        assert!(fault.contains("Anna Berg") && fault.contains("Anna Groß"), "{fault}");
        assert_eq!(read("von:gross", &client.state).unwrap().person, Some(BEN));
        assert_eq!(read("von:anna.groß", &client.state).unwrap().person, Some(BEN));
    }
}
