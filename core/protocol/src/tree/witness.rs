//! Witnesses: who sees that the outer tree only grows, and says so (C2SP tlog-witness).
//!
//! A witness keeps, for each origin, the newest state that it cosigned. [`AddCheckpoint`] is what it
//! is asked, [`judge`] whether it cosigns, with the refusals and their HTTP codes that the standard
//! names. Whoever runs it stores the new state durably before the cosignature leaves, one request
//! at a time: then no crash and no race lets it sign two histories.
//!
//! Readers see what witnesses said as [`Witnessed`]: an older checkpoint with its cosignature, and
//! the proof that the tree at hand continues it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::company::state::{LogKey, Witness};
use crate::company::view::CompanyAt;
use crate::ids::{CompanyId, Digest};
use crate::limits;
use crate::tree::checkpoint::{Checkpoint, NoteError, TreeHead, parse_number};
use crate::tree::merkle::verify_consistency;
use crate::wire::Witnessed;

/// The content type of a [conflict](Refused::Conflict)'s body.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// The request `add-checkpoint`: a checkpoint, and that it continues the one of size `old`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness cosigned last; 0 if none.
    pub old: u64,
    /// Consistency of the checkpoint with that size; empty for 0.
    pub proof: Vec<Digest>,
    /// The checkpoint's note.
    pub note: String,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not the form of a request.
    #[error("the request is not of the form that C2SP tlog-witness demands")]
    Form,
    /// The checkpoint within is none.
    #[error("the request holds no checkpoint: {0}")]
    Note(NoteError),
    /// The checkpoint is of a log that this witness does not know.
    #[error("the checkpoint is of a log that this witness does not watch")]
    Origin,
    /// The log's key did not sign it.
    #[error("no key that this witness trusts signed the checkpoint")]
    Signature,
    /// The old size is above the checkpoint's.
    #[error("the old size is above the checkpoint's")]
    OldAbove,
    /// The old size is not the one that this witness cosigned last, which is told.
    #[error("this witness cosigned size {0} last")]
    Conflict(u64),
    /// The same size with another root: two histories.
    #[error("this witness cosigned another root of size {0}: two histories")]
    Fork(u64),
    /// The tree of the checkpoint is not proven to continue the one cosigned last.
    #[error("the checkpoint is not proven to continue the one that this witness cosigned last")]
    Proof,
}

impl Refused {
    /// The HTTP status that C2SP tlog-witness names for it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Form | Self::Note(_) | Self::OldAbove => 400,
            Self::Signature => 403,
            Self::Origin => 404,
            Self::Conflict(_) | Self::Fork(_) => 409,
            Self::Proof => 422,
        }
    }
}

impl AddCheckpoint {
    /// Reads a request, and refuses whatever the standard's form does not allow.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let (before, note) = text.split_once("\n\n").ok_or(Refused::Form)?;
        let mut lines = before.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_number);
        let old = old.ok_or(Refused::Form)?;
        let proof: Vec<Digest> =
            lines.map(parse_hash).collect::<Option<_>>().ok_or(Refused::Form)?;
        if proof.len() > limits::CONSISTENCY_HASHES || (old == 0 && !proof.is_empty()) {
            return Err(Refused::Form);
        }
        Ok(Self { old, proof, note: note.to_owned() })
    }

    /// The request's body.
    pub fn to_text(&self) -> String {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            text.push_str(&BASE64.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }
}

fn parse_hash(line: &str) -> Option<Digest> {
    BASE64.decode(line).ok()?.try_into().ok().map(Digest)
}

/// The log that a witness watches: one era of one company, and the key that signs its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The company.
    pub company: CompanyId,
    /// The era.
    pub era: u64,
    /// The key of its checkpoints.
    pub key: LogKey,
}

/// Whether a witness that cosigned `last` of this log's trees cosigns what is asked; the state to keep
/// and to cosign.
pub fn judge(
    request: &AddCheckpoint,
    watched: &Watched,
    last: Option<TreeHead>,
) -> Result<TreeHead, Refused> {
    let checkpoint = Checkpoint::parse(&request.note).map_err(Refused::Note)?;
    let new = checkpoint.head;
    if checkpoint.company != watched.company || new.era != watched.era {
        return Err(Refused::Origin);
    }
    checkpoint.verify(watched.company, &watched.key).map_err(|_| Refused::Signature)?;
    if request.old > new.size {
        return Err(Refused::OldAbove);
    }
    let seen = last.map_or(0, |last| last.size);
    if request.old != seen {
        return Err(Refused::Conflict(seen));
    }
    // An empty tree has nothing to witness.
    if new.size == 0 {
        return Err(Refused::Proof);
    }
    let Some(last) = last else { return Ok(new) };
    if last.size == new.size && last.root != new.root {
        return Err(Refused::Fork(last.size));
    }
    verify_consistency((last.size, last.root), (new.size, new.root), &request.proof)
        .map_err(|_| Refused::Proof)?;
    Ok(new)
}

/// What one witness said of the tree at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The witness.
    pub witness: &'a Witness,
    /// How much of the tree it saw.
    pub size: u64,
    /// When, by its clock, Unix time in seconds.
    pub time_s: u64,
}

/// What the active witnesses of a company said of a tree that is believed: of each the newest state
/// that it cosigned and that the tree is proven to continue.
///
/// What is not proven counts as not said: a server can always leave it out.
pub fn seen_by<'a>(
    witnessed: &[Witnessed],
    tree: &TreeHead,
    company: &CompanyAt<'a>,
) -> Vec<Seen<'a>> {
    let mut seen: Vec<Seen<'a>> = Vec::new();
    for Witnessed { note, consistency } in witnessed {
        let Ok(checkpoint) = Checkpoint::parse(note) else { continue };
        let old = checkpoint.head;
        let same_log = Some(checkpoint.company) == company.company() && old.era == tree.era;
        let (old, new) = ((old.size, old.root), (tree.size, tree.root));
        if !same_log || verify_consistency(old, new, consistency).is_err() {
            continue;
        }
        for witness in company.witnesses() {
            let Ok(time_s) = checkpoint.verify_witness(witness) else { continue };
            let this = Seen { witness, size: old.0, time_s };
            match seen.iter_mut().find(|seen| seen.witness.key == witness.key) {
                Some(known) if known.size >= this.size => {}
                Some(known) => *known = this,
                None => seen.push(this),
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests;
