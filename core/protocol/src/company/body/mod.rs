//! What stands in the company log's entries: one struct for each kind of `docs/protocol.md §12`.
//!
//! Bodies hold ids and keys only, never the name of a person or a room (docs/attacks.md 29).

mod archive;
mod trust;

pub use archive::*;
pub use trust::*;

use crate::encoding::{FormError, decode, encode};
use crate::entry::{Kind, Seen};

macro_rules! company_bodies {
    ($($(#[$meta:meta])* $variant:ident($body:ty) = $kind:ident,)+) => {
        /// The body of a company entry, by kind.
        // A device entry is the largest and by far the most frequent; boxing it would win nothing.
        #[allow(clippy::large_enum_variant)]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum CompanyBody {
            /// `genesis`
            Genesis(CompanyGenesis),
            $($(#[$meta])* $variant($body),)+
        }

        impl CompanyBody {
            /// Reads the body of an entry of this kind.
            pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Self, FormError> {
                match kind {
                    Kind::Genesis => decode(bytes).map(Self::Genesis),
                    $(Kind::$kind => decode(bytes).map(Self::$variant),)+
                    _ => Err(FormError::Unlisted),
                }
            }

            /// The body's bytes.
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    Self::Genesis(body) => encode(body),
                    $(Self::$variant(body) => encode(body),)+
                }
            }

            /// The kind of the entry that it stands in.
            pub fn kind(&self) -> Kind {
                match self {
                    Self::Genesis(_) => Kind::Genesis,
                    $(Self::$variant(_) => Kind::$kind,)+
                }
            }

            /// The newest entry that the signers had processed; none in genesis and in the founding.
            pub fn seen(&self) -> Option<Seen> {
                match self {
                    Self::Genesis(_) => None,
                    $(Self::$variant(body) => body.seen,)+
                }
            }
        }

    };
}

company_bodies! {
    /// `root_rotation`
    RootRotation(RootRotation) = RootRotation,
    /// `issuing_key`
    IssuingKey(KeySwitch) = IssuingKey,
    /// `enrolment_authority`
    EnrolmentAuthority(KeySwitch) = EnrolmentAuthority,
    /// `log_key`
    LogKey(LogKeyEntry) = LogKey,
    /// `witness`
    Witness(WitnessEntry) = Witness,
    /// `device`
    Device(DeviceEntry) = Device,
    /// `revoke`
    Revoke(RevokeEntry) = Revoke,
    /// `role`
    Role(RoleEntry) = Role,
    /// `policy`
    Policy(PolicyEntry) = Policy,
    /// `archive_key`
    ArchiveKey(ArchiveKeyEntry) = ArchiveKey,
    /// `opening`
    Opening(OpeningEntry) = Opening,
    /// `opened`
    Opened(OpenedEntry) = Opened,
    /// `hold`
    Hold(HoldEntry) = Hold,
    /// `release`
    Release(ReleaseEntry) = Release,
    /// `erase`
    Erase(CompanyErase) = CompanyErase,
    /// `handover`
    Handover(HandoverEntry) = Handover,
    /// `rewrap`
    Rewrap(RewrapEntry) = Rewrap,
    /// `restore`
    Restore(CompanyRestore) = CompanyRestore,
    /// `close`
    Close(CloseEntry) = Close,
    /// `class`
    Class(ClassEntry) = Class,
    /// `reset_order`
    ResetOrder(ResetOrder) = ResetOrder,
    /// `report`
    Report(ReportEntry) = Report,
}

macro_rules! bodies_from {
    ($($variant:ident($body:ty),)+) => {$(
        impl From<$body> for CompanyBody {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        }
    )+};
}

// Not KeySwitch, which two kinds share: its kind has to be named.
bodies_from! {
    Genesis(CompanyGenesis),
    RootRotation(RootRotation),
    LogKey(LogKeyEntry),
    Witness(WitnessEntry),
    Device(DeviceEntry),
    Revoke(RevokeEntry),
    Role(RoleEntry),
    Policy(PolicyEntry),
    ArchiveKey(ArchiveKeyEntry),
    Opening(OpeningEntry),
    Opened(OpenedEntry),
    Hold(HoldEntry),
    Release(ReleaseEntry),
    Erase(CompanyErase),
    Handover(HandoverEntry),
    Rewrap(RewrapEntry),
    Restore(CompanyRestore),
    Close(CloseEntry),
    Class(ClassEntry),
    ResetOrder(ResetOrder),
    Report(ReportEntry),
}
