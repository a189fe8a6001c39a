//! The service layer under `hauspost admin`: founding, inviting, revoking, ordering resets.
//!
//! Everything that needs a key of the company happens here, on the machine of whoever holds it.
//! [`key_file`] and [`page`] are how keys lie on disk and on paper, [`card`] is what everybody may
//! know of the company, [`holder`] one holder's folder with both, [`sealed`] the shares in it, and
//! [`client`] the way to the server. On top of them [`founding`] makes the
//! company, [`people`] invites, revokes and lists, [`devices`] lets a person's further device in,
//! [`reset`] orders a conversation's reset, [`office`] is what the root signs later, and [`history`] the
//! company log in words; [`policy`] is what is decided for everybody, written, read and signed, [`handover`] what a
//! leaver leaves to a successor.

pub mod card;
pub mod client;
pub mod devices;
pub mod founding;
pub mod handover;
pub mod history;
pub mod holder;
pub mod key_file;
pub mod office;
pub mod page;
pub mod people;
pub mod policy;
pub mod reset;
pub mod sealed;
