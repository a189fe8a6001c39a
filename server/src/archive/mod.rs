//! The archive: opened in two halves that never meet, exported as files, verified offline.

pub mod announced;
pub mod approval;
pub mod documents;
pub mod export;
pub mod fetch;
pub mod opening;
pub mod reading;
pub mod replay;
pub mod time;
pub mod verify;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
