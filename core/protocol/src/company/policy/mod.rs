//! The company's policy: what is decided for everybody, signed in the company log.
//!
//! A [`PolicyDocument`] has two parts. The [`CouncilPart`] is whatever can watch people, and the works
//! council signs each change of it (legal.md L-24); the [`GeneralPart`] is everything else. Each part is a
//! list that may grow (`list`): a reader takes the items that he knows, what is missing has its
//! default, and what comes after them is left alone, so that an old phone lives with a new policy. Every
//! default is the one that watches least and allows least, so a policy that says nothing is a safe one.
//!
//! [`Terms`] is what a policy says once it is read. [`zone`] is the company's clock, [`quiet`] the weekly
//! plan of quiet hours.

mod council;
mod general;
mod list;
pub mod quiet;
pub mod zone;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use council::{Callers, CouncilPart};
pub use general::{DocumentRule, GeneralPart, WhoMayCallAll};
pub use list::{Fault, Problem};
pub use quiet::{QuietPlan, QuietSpan};
pub use zone::{LocalTime, Zone};

use crate::array_item;
use crate::encoding::Bytes;

array_item! {
    /// A policy in two parts, of which the council must sign changes of the first.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PolicyDocument {
        /// What the works council has a say in, a [`CouncilPart`].
        pub council: Bytes,
        /// Everything else, a [`GeneralPart`].
        pub rest: Bytes,
    }
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// What can watch people.
    pub council: CouncilPart,
    /// Everything else.
    pub general: GeneralPart,
}

impl PolicyDocument {
    /// A document that says this.
    pub fn of(terms: &Terms) -> Self {
        Self { council: Bytes(terms.council.to_bytes()), rest: Bytes(terms.general.to_bytes()) }
    }

    /// What it says. What cannot be read has its default: whoever signs looks at the
    /// [`faults`](Self::faults) first.
    pub fn terms(&self) -> Terms {
        let (council, _) = CouncilPart::read(&self.council);
        let (general, _) = GeneralPart::read(&self.rest);
        Terms { council, general }
    }

    /// The items that are there and are not what this version knows under their place.
    pub fn faults(&self) -> Vec<Fault> {
        let (_, mut faults) = CouncilPart::read(&self.council);
        faults.extend(GeneralPart::read(&self.rest).1);
        faults
    }
}

impl Terms {
    /// What holds while there is no policy.
    pub fn without_policy() -> &'static Self {
        static NONE: LazyLock<Terms> = LazyLock::new(Terms::default);
        &NONE
    }

    /// What keeps the terms from being signed: an item outside of its limits.
    pub fn faults(&self) -> Vec<Fault> {
        PolicyDocument::of(self).faults()
    }
}
