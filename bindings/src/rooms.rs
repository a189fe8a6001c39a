//! What a person is in a conversation, and how a conversation looks.

use std::path::PathBuf;

use hauspost_core::account::{Role, Standing as May};
use hauspost_core::store::rows::picture::RoomPicture;

use crate::error::HauspostError;
use crate::timeline::Timeline;
use crate::{ids, runtime};

/// A person of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RoomMember {
    /// Who.
    pub person: String,
    /// Whether that one is an owner: what people call a group's admin.
    pub owner: bool,
}

/// What the person of this phone may do in a conversation, as far as the phone knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Standing {
    /// Whether he is in it.
    pub member: bool,
    /// Whether he is an owner.
    pub owner: bool,
    /// Whether he writes; if not, show no composer, and say that owners write here.
    pub may_write: bool,
    /// Whether he may add people.
    pub may_add: bool,
}

impl From<May> for Standing {
    fn from(standing: May) -> Self {
        let May { is_member, is_owner, may_write, may_add } = standing;
        Self { member: is_member, owner: is_owner, may_write, may_add }
    }
}

/// The picture of a conversation, encoded by this phone: safe to be given to the system's decoder.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Picture {
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// `image/jpeg` or `image/png`.
    pub media_type: String,
    /// The encoded picture.
    pub bytes: Vec<u8>,
}

impl From<RoomPicture> for Picture {
    fn from(picture: RoomPicture) -> Self {
        let RoomPicture { width, height, media_type, picture, .. } = picture;
        Self { width, height, media_type, bytes: picture }
    }
}

#[uniffi::export]
impl Timeline {
    /// What the person may do here. Ask again after a change of the conversation.
    pub async fn standing(&self) -> Result<Standing, HauspostError> {
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.standing(log).await?.into()) }).await
    }

    /// The people of the conversation with their roles, as far as the server has taken the changes.
    pub async fn roles(&self) -> Result<Vec<RoomMember>, HauspostError> {
        let (core, log) = (self.core(), self.log());
        runtime::run(async move {
            let member = |(user, role): (hauspost_protocol::ids::UserId, Role)| RoomMember {
                person: user.to_string(),
                owner: role == Role::Owner,
            };
            Ok(core.roles(log).await?.into_iter().map(member).collect())
        })
        .await
    }

    /// Makes a person an owner, or lets him be none any more, as an owner. While no owner is left, each member
    /// is one.
    pub async fn set_owner(&self, person: String, owner: bool) -> Result<(), HauspostError> {
        let person = ids::user(&person)?;
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.set_owner(log, person, owner).await?) }).await
    }

    /// Gives the conversation a picture, made small of the file at this path, or takes it away.
    pub async fn set_picture(&self, path: Option<String>) -> Result<(), HauspostError> {
        let path = path.map(PathBuf::from);
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.set_picture(log, path.as_deref()).await?) }).await
    }

    /// The conversation's picture; null if it has none. `Conversation.picture` says when to read it again.
    pub async fn picture(&self) -> Result<Option<Picture>, HauspostError> {
        let (core, log) = (self.core(), self.log());
        runtime::run(async move { Ok(core.picture(log).await?.map(Picture::from)) }).await
    }
}
