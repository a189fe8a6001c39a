//! What the tests that cross crates share: [`sim`] runs a whole company under one seed.

pub mod sim;
