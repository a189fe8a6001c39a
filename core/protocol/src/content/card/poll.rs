//! A poll: a question, its options, and which of them somebody chooses.

use std::collections::HashSet;
use std::fmt;

use super::{CardError, line};
use crate::encoding::{FormError, Item, Reader, Writer, decode, encode};
use crate::unseen::is_joiner;

pub(super) const MEDIA_TYPE: &str = "application/vnd.hauspost.poll";

/// Options of a poll.
pub const OPTIONS: usize = 12;

/// A question with the options to choose from. Everybody in the conversation sees who chose what.
#[derive(Clone, PartialEq, Eq)]
pub struct Poll {
    question: String,
    options: Vec<String>,
    most: u32,
}

impl Poll {
    /// A poll in which each person may choose `most` of the options.
    ///
    /// # Errors
    /// A line is none, or there are not 2 to 12 different options, or more may be chosen than there are.
    pub fn new(question: String, options: Vec<String>, most: u32) -> Result<Self, CardError> {
        let question = line(question)?;
        let options = options.into_iter().map(line).collect::<Result<Vec<_>, _>>()?;
        let seen = |option: &String| option.trim().replace(is_joiner, "");
        let different: HashSet<String> = options.iter().map(seen).collect();
        let fits = (2..=OPTIONS).contains(&options.len())
            && different.len() == options.len()
            && (1..=options.len()).contains(&(most as usize));
        if fits { Ok(Self { question, options, most }) } else { Err(CardError::Options) }
    }

    /// What is asked.
    pub fn question(&self) -> &str {
        &self.question
    }

    /// What may be chosen, two at least.
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// How many options one person may choose.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Whether somebody may choose so. Nothing at all is a vote that is taken back.
    pub fn takes(&self, choice: Choice) -> bool {
        choice.len() <= self.most && choice.iter().all(|option| option < self.options.len())
    }

    /// What it says in words: the question and the options, a line for each.
    pub(super) fn text(&self) -> String {
        let options = self.options.iter().map(|option| format!("\n– {option}"));
        self.question.clone() + &options.collect::<String>()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        decode(bytes).ok()
    }
}

impl Item for Poll {
    fn write(&self, to: &mut Writer) {
        to.array(3);
        to.text(&self.question);
        self.options.write(to);
        self.most.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let (question, options, most) =
            from.array(3, |from| Ok((Item::read(from)?, Item::read(from)?, Item::read(from)?)))?;
        Self::new(question, options, most).map_err(|_| FormError::TooLarge)
    }
}

/// Options of a poll that somebody chose, each once.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Choice(u16);

impl Choice {
    /// These options by their places, from 0 on; `None` if one is no place of a poll's.
    pub fn of(options: impl IntoIterator<Item = usize>) -> Option<Self> {
        options.into_iter().try_fold(Self::default(), |choice, option| {
            (option < OPTIONS).then(|| Self(choice.0 | 1 << option))
        })
    }

    /// The places of the options, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..OPTIONS).filter(move |option| self.0 >> option & 1 == 1)
    }

    /// With this option if it was not there, else without it; a place of no poll's changes nothing.
    #[must_use]
    pub fn toggled(self, option: usize) -> Self {
        Self::of([option]).map_or(self, |one| Self(self.0 ^ one.0))
    }

    /// Whether this option is among them.
    pub fn has(self, option: usize) -> bool {
        Self::of([option]).is_some_and(|one| self.0 & one.0 != 0)
    }

    /// How many they are.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether nothing is chosen.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One bit for each option, the first the lowest: how a database keeps it.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The choice with these bits; those of no option are dropped.
    pub fn from_bits(bits: u16) -> Self {
        Self(bits & ((1 << OPTIONS) - 1))
    }
}

/// A list of places, ascending.
impl Item for Choice {
    fn write(&self, to: &mut Writer) {
        to.array(self.len() as usize);
        self.iter().for_each(|option| to.uint(option as u64));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, FormError> {
        from.list(|from, len| {
            if len > OPTIONS as u64 {
                return Err(FormError::TooLarge);
            }
            let places = (0..len).map(|_| from.uint()).collect::<Result<Vec<_>, _>>()?;
            // That they ascend, and none comes twice, shows when it is written again.
            let places = places.into_iter().map(|place| usize::try_from(place).unwrap_or(OPTIONS));
            Self::of(places).ok_or(FormError::Unlisted)
        })
    }
}

/// Content is not for logs.
impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Poll(…)")
    }
}

/// What somebody chose is not for logs.
impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choice(…)")
    }
}
