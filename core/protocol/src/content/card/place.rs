//! A place, as a geo URI (RFC 5870). No map is drawn and nothing is fetched.

use std::fmt::{self, Write as _};

use super::{CardError, line};

/// Millionths in a degree: about 11 cm at the equator.
const MICRO: i32 = 1_000_000;
/// The accuracy that says the least, in metres.
const ACCURACY_M: u32 = 1_000_000;
/// Bytes of a geo URI: a name with each byte written as three, and the rest.
const URI_BYTES: usize = 1_024;
/// Digits of a number; more say nothing.
const DIGITS: usize = 20;

/// A place on Earth (WGS 84).
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    latitude: i32,
    longitude: i32,
    accuracy_m: Option<u32>,
    name: Option<String>,
}

impl Place {
    /// A place by its coordinates in millionths of a degree, north and east being positive, how far
    /// they may be off, and what it is called.
    ///
    /// # Errors
    /// The coordinates are none, or the name is no line of at most 255 bytes.
    pub fn new(
        latitude: i32,
        longitude: i32,
        accuracy_m: Option<u32>,
        name: Option<String>,
    ) -> Result<Self, CardError> {
        let is_on_earth = latitude.unsigned_abs() <= 90 * MICRO.unsigned_abs()
            && longitude.unsigned_abs() <= 180 * MICRO.unsigned_abs()
            && accuracy_m.is_none_or(|metres| metres <= ACCURACY_M);
        if !is_on_earth {
            return Err(CardError::Coordinates);
        }
        Ok(Self { latitude, longitude, accuracy_m, name: name.map(line).transpose()? })
    }

    /// Millionths of a degree, north being positive.
    pub fn latitude(&self) -> i32 {
        self.latitude
    }

    /// Millionths of a degree, east being positive.
    pub fn longitude(&self) -> i32 {
        self.longitude
    }

    /// How far the coordinates may be off, in metres, if that is known.
    pub fn accuracy_m(&self) -> Option<u32> {
        self.accuracy_m
    }

    /// What it is called.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The coordinates as people read them.
    pub fn coordinates(&self) -> String {
        format!("{}, {}", degrees(self.latitude), degrees(self.longitude))
    }

    /// What it says in words.
    pub(super) fn text(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.coordinates()),
            None => self.coordinates(),
        }
    }

    /// The geo URI by which a program for maps opens it; the name stands in a parameter of its own.
    pub fn uri(&self) -> String {
        let mut uri = format!("geo:{},{}", degrees(self.latitude), degrees(self.longitude));
        if let Some(metres) = self.accuracy_m {
            let _ = write!(uri, ";u={metres}");
        }
        if let Some(name) = &self.name {
            uri.push_str(";name=");
            for byte in name.bytes() {
                // What RFC 5870 lets stand in a value.
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => uri.push(byte.into()),
                    b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {
                        uri.push(byte.into());
                    }
                    other => {
                        let _ = write!(uri, "%{other:02X}");
                    }
                }
            }
        }
        uri
    }

    /// Reads a geo URI. Heights, and parameters of others, are passed over; a place under another
    /// system of coordinates is none that we know.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        if uri.len() > URI_BYTES || !scheme.eq_ignore_ascii_case("geo") {
            return None;
        }
        let mut parts = rest.split(';');
        let mut coordinates = parts.next()?.split(',');
        let latitude = micro_degrees(coordinates.next()?)?;
        let longitude = micro_degrees(coordinates.next()?)?;
        let height = coordinates.next().map(micro_degrees);
        if height == Some(None) || coordinates.next().is_some() {
            return None;
        }
        let (mut accuracy_m, mut name) = (None, None);
        for parameter in parts {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key.to_ascii_lowercase().as_str() {
                "crs" if value.eq_ignore_ascii_case("wgs84") => {}
                "crs" => return None,
                "u" if accuracy_m.is_none() => accuracy_m = Some(metres(value)?),
                "name" if name.is_none() => name = Some(unescaped(value)?),
                // Which of two would count nobody could say.
                "u" | "name" => return None,
                _ => {}
            }
        }
        Self::new(latitude, longitude, accuracy_m, name).ok()
    }
}

/// Six digits behind the point at most, and none that say nothing.
fn degrees(micro: i32) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let (whole, rest) = (micro.unsigned_abs() / 1_000_000, micro.unsigned_abs() % 1_000_000);
    let text = format!("{sign}{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of degrees, cut off behind the sixth digit.
fn micro_degrees(text: &str) -> Option<i32> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, rest) = number(digits)?;
    let whole: i32 = whole.parse().ok()?;
    let rest: i32 = format!("{rest:0<6}")[..6].parse().ok()?;
    let micro = whole.checked_mul(MICRO)?.checked_add(rest)?;
    Some(if negative { -micro } else { micro })
}

/// A number of metres, rounded up.
fn metres(text: &str) -> Option<u32> {
    let (whole, rest) = number(text)?;
    let whole: u32 = whole.parse().ok()?;
    whole.checked_add(u32::from(rest.bytes().any(|digit| digit != b'0')))
}

/// The digits before the point and behind it.
fn number(text: &str) -> Option<(&str, &str)> {
    let is_number = |digits: &str| {
        (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    match text.split_once('.') {
        Some((whole, rest)) => (is_number(whole) && is_number(rest)).then_some((whole, rest)),
        None => is_number(text).then_some((text, "")),
    }
}

/// A value with its escapes undone (RFC 3986 §2.1).
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Content is not for logs.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(…)")
    }
}
