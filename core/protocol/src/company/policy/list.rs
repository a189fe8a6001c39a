//! Lists that may grow: the form of both parts of a policy.
//!
//! Each item is read by itself. An item that is missing, of a form that this version does not know, or
//! outside of its limits has its default; so a policy of a later version, which a phone must obey as far
//! as it understands it, never turns into no policy at all.

use crate::encoding::{Any, FormError, Item, decode, read_prefix};

/// Items of a part, at most.
pub(super) const ITEMS: u64 = 256;

/// An item of a policy that is not what its place demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The item's name; the part's own if the part is no list at all.
    pub item: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not of the form that its place demands.
    #[error("{0}")]
    Form(#[from] FormError),
    /// Of the right form, outside of what is allowed.
    #[error("outside of its limits")]
    Limit,
}

/// The items of a part, unopened.
pub(super) fn items(part: &[u8]) -> Result<Vec<Any>, FormError> {
    let (items, len) = read_prefix(part, |from| {
        from.list(|from, len| {
            if len > ITEMS {
                return Err(FormError::TooLarge);
            }
            (0..len).map(|_| Any::read(from)).collect::<Result<Vec<_>, _>>()
        })
    })?;
    if len == part.len() { Ok(items) } else { Err(FormError::Trailing) }
}

/// One item, if it is there.
pub(super) fn item<T: Item>(item: &Any, valid: impl FnOnce(&T) -> bool) -> Result<T, Problem> {
    let value = decode(item.as_bytes())?;
    if valid(&value) { Ok(value) } else { Err(Problem::Limit) }
}

/// A part of a policy: its items in their order, each with its default and its limits.
macro_rules! growing_list {
    (
        $(#[$meta:meta])* pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr, $valid:expr;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)+
            /// Items of a later version, which whoever changes a policy hands on as they are.
            pub later: Vec<$crate::encoding::Any>,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ later: Vec::new() }
            }
        }

        impl $name {
            /// The items' names, in their order.
            pub const ITEMS: &[&str] = &[$(stringify!($field),)+];

            /// What the part says, and the items that it does not say in a form known here.
            pub fn read(part: &[u8]) -> (Self, Vec<$crate::company::policy::Fault>) {
                use $crate::company::policy::Fault;
                let items = match $crate::company::policy::list::items(part) {
                    Ok(items) => items,
                    Err(form) => {
                        let fault = Fault { item: stringify!($name), problem: form.into() };
                        return (Self::default(), vec![fault]);
                    }
                };
                let (mut read, mut faults) = (Self::default(), Vec::new());
                let mut items = items.into_iter();
                $(if let Some(item) = items.next() {
                    match $crate::company::policy::list::item::<$type>(&item, $valid) {
                        Ok(value) => read.$field = value,
                        Err(problem) => faults.push(Fault { item: stringify!($field), problem }),
                    }
                })+
                read.later = items.collect();
                (read, faults)
            }

            /// The part's bytes: every item known here, and the later ones as they came.
            pub fn to_bytes(&self) -> Vec<u8> {
                $crate::encoding::write_sized(256, |to| {
                    to.array(Self::ITEMS.len() + self.later.len());
                    $($crate::encoding::Item::write(&self.$field, to);)+
                    self.later.iter().for_each(|item| $crate::encoding::Item::write(item, to));
                })
            }
        }
    };
}
pub(super) use growing_list;
