//! What is said before the client is there: while a device enrols and waits for its approval.

/// Texts of the enrolment, in one language.
#[derive(Debug)]
pub struct EnrolWords {
    /// While the server is asked.
    pub enrolling: &'static str,
    /// A profile that needs an invitation.
    pub paste: &'static str,
    /// An invitation that was given to a profile that needs none.
    pub unused: &'static str,
    /// The code that another device is to be told, and the code again as an argument.
    pub waits: &'static str,
    /// The device that was approved.
    pub approved: &'static str,
}

pub(super) static ENGLISH: EnrolWords = EnrolWords {
    enrolling: "enrolling …",
    paste: "This profile is new. Paste your invitation (hauspost1:…) and press Enter:",
    unused: "This profile is enrolled already; the invitation was not used.",
    waits: "You have a device already. Approve this one there, by its code:\n\n    {}\n\n\
            In its client press F6; or, when that is closed:\n\
            hauspost chat --profile YOUR-FIRST-PROFILE --approve {}\n\n\
            If you have lost it, read the code to your admin.",
    approved: "approved {}",
};

pub(super) static GERMAN: EnrolWords = EnrolWords {
    enrolling: "meldet sich an …",
    paste: "Dieses Profil ist neu. Füge deine Einladung ein (hauspost1:…) und drücke Enter:",
    unused: "Dieses Profil ist schon angemeldet; die Einladung wurde nicht gebraucht.",
    waits: "Du hast schon ein Gerät. Lass dieses dort zu, mit seinem Code:\n\n    {}\n\n\
            Drücke dort F6; oder, wenn die App dort nicht läuft:\n\
            hauspost chat --profile DEIN-ERSTES-PROFIL --approve {}\n\n\
            Wenn du es verloren hast, lies den Code deinem Admin vor.",
    approved: "zugelassen: {}",
};
