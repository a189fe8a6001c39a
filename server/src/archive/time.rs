//! Times as people write and read them, in UTC (the proleptic Gregorian calendar, RFC 3339).

use hauspost_protocol::ids::TimeMs;

const DAY_MS: u64 = 86_400_000;

/// `2026-11-25 18:59:46Z`.
pub fn show(t_ms: TimeMs) -> String {
    let (year, month, day) = date(t_ms / DAY_MS);
    let second = t_ms % DAY_MS / 1_000;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// The first millisecond of a day `2026-11-25`.
fn start_of_day(text: &str) -> Option<TimeMs> {
    let mut parts = text.split('-');
    let mut part = |len| parts.next().filter(|part: &&str| part.len() == len)?.parse::<u64>().ok();
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() || year < 1970 {
        return None;
    }
    // Days are counted forwards from a date not after the one asked for, at most 31 steps.
    let first = days_before_year(year) + (month.checked_sub(1)?) * 28;
    (first..first + 62).find(|days| date(*days) == (year, month, day)).map(|days| days * DAY_MS)
}

/// The last millisecond of a day.
fn end_of_day(text: &str) -> Option<TimeMs> {
    start_of_day(text).map(|start| start + DAY_MS - 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_before_year(year: u64) -> u64 {
    let before = year - 1;
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(before) - leaps(1969)
}

/// Year, month and day of a number of days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before_year(year);
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < len {
            break;
        }
        rest -= len;
        month += 1;
    }
    (year, month, rest + 1)
}

/// The first moment of a day, or how a day is written; for a command's argument.
pub fn parse_start(text: &str) -> Result<TimeMs, String> {
    start_of_day(text).ok_or_else(|| NO_DAY.to_owned())
}

/// The same for its last moment.
pub fn parse_end(text: &str) -> Result<TimeMs, String> {
    end_of_day(text).ok_or_else(|| NO_DAY.to_owned())
}

const NO_DAY: &str = "not a day; write it as 2026-05-31";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_read_and_show_alike() {
        for (text, t_ms) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400_000),
            ("2026-11-25", 1_795_564_800_000),
            ("2036-12-31", 2_114_294_400_000),
        ] {
            assert_eq!(start_of_day(text), Some(t_ms), "{text}");
            assert_eq!(show(t_ms), format!("{text} 00:00:00Z"));
            assert_eq!(show(end_of_day(text).unwrap()), format!("{text} 23:59:59Z"));
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-1",
            "26-01-01",
            "2026-01-01-",
            "1969-12-31",
            "",
        ] {
            assert_eq!(start_of_day(text), None, "{text}");
        }
    }
}
