//! What a company begins with: its first entries, in the order and with the signatures that
//! [`state`](crate::company::state) asks for (docs/protocol.md §12).
//!
//! The root signs for itself, for the server's keys and for each office; from the second council
//! member on, the first one signs too. The archive's keys need the root, two officers and the council,
//! a policy an admin, HR and the council. Whoever is missing does not sign, and the company's rules
//! say so when the entries are judged.

use crate::archive_key::ArchiveKey;
use crate::company::body::{
    ArchiveKeyEntry, ArchiveSide, CompanyBody, CompanyGenesis, KeySwitch, LogKeyEntry, PolicyEntry,
    Role, RoleEntry,
};
use crate::company::entry::company_entry;
use crate::company::policy::PolicyDocument;
use crate::crypto::{PublicKey, SigningKey};
use crate::encoding::{Bytes, encode};
use crate::ids::{CompanyId, Digest, UserId};
use crate::wire::{Hello, NewEntry};

/// A key that has a role from the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Office<'a> {
    /// The role's signing key.
    pub key: &'a SigningKey,
    /// The role.
    pub role: Role,
    /// Whose it is; none for a machine's, or while its person is not known.
    pub user: Option<UserId>,
    /// The hash of its history key, if it may be given record keys.
    pub history_key: Option<Digest>,
}

/// Who founds a company, and with what.
#[derive(Debug)]
pub struct Founders<'a> {
    /// The company's id.
    pub company: CompanyId,
    /// Its root key.
    pub root: &'a SigningKey,
    /// The key that signs vouchers.
    pub authority: PublicKey,
    /// The offices, in the order of their entries.
    pub offices: Vec<Office<'a>>,
    /// Archive keys A and B, each with the hashes of its shares.
    pub archive: [(ArchiveKey, Vec<Digest>); 2],
    /// The first policy.
    pub policy: Option<PolicyDocument>,
}

impl Founders<'_> {
    /// The entries, for the server that presents itself so.
    pub fn entries(&self, server: &Hello) -> Vec<NewEntry> {
        let root = self.root;
        let switch = |key| KeySwitch { seen: None, key, active: true };
        let genesis = CompanyGenesis { company: self.company, root: root.public() };
        let issuing = CompanyBody::IssuingKey(switch(PublicKey(server.issuing_key)));
        let authority = CompanyBody::EnrolmentAuthority(switch(self.authority));
        let mut entries = vec![
            self.entry(genesis, &[root]),
            self.entry(issuing, &[root]),
            self.entry(authority, &[root]),
            self.entry(log_key(server), &[root]),
        ];
        let council = self.holders(Role::Council, 1);
        for office in &self.offices {
            let mut signers = vec![root];
            if office.role == Role::Council {
                signers
                    .extend(council.iter().filter(|first| first.public() != office.key.public()));
            }
            entries.push(self.entry(office.entry(), &signers));
        }
        let officers = self.holders(Role::Officer, 2);
        let by_archive: Vec<_> =
            [root].into_iter().chain(officers).chain(council.clone()).collect();
        for (side, (key, shares)) in [ArchiveSide::A, ArchiveSide::B].into_iter().zip(&self.archive)
        {
            let (key, shares) = (Bytes(key.to_bytes().to_vec()), shares.clone());
            entries
                .push(self.entry(ArchiveKeyEntry { seen: None, side, key, shares }, &by_archive));
        }
        if let Some(document) = &self.policy {
            let document = Bytes(encode(document));
            let policy = PolicyEntry { seen: None, version: 1, document };
            let above = [Role::Admin, Role::Hr].into_iter().flat_map(|role| self.holders(role, 1));
            entries.push(self.entry(policy, &above.chain(council).collect::<Vec<_>>()));
        }
        entries
    }

    fn entry(&self, body: impl Into<CompanyBody>, keys: &[&SigningKey]) -> NewEntry {
        company_entry(self.company, body, keys)
    }

    /// The first so many keys with this role.
    fn holders(&self, role: Role, count: usize) -> Vec<&SigningKey> {
        let with_role = self.offices.iter().filter(|office| office.role == role);
        with_role.map(|office| office.key).take(count).collect()
    }
}

impl<'a> Office<'a> {
    /// A key with a role and nothing else.
    pub fn new(key: &'a SigningKey, role: Role) -> Self {
        Self { key, role, user: None, history_key: None }
    }

    fn entry(&self) -> RoleEntry {
        RoleEntry {
            seen: None,
            key: self.key.public(),
            history_key: self.history_key,
            user: self.user,
            role: self.role,
            active: true,
        }
    }
}

/// The entry that names the keys of a server's checkpoints.
pub fn log_key(server: &Hello) -> LogKeyEntry {
    LogKeyEntry {
        seen: None,
        ed25519: PublicKey(server.log_key),
        ml_dsa: server.log_key_pq.clone(),
    }
}
