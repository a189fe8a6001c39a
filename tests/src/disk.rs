//! A real file system that can be filled.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, so small that it can be filled; gone with the value.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounted on this folder, or why it cannot be.
    pub fn on(folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "hauspost-test"])
            .arg(folder)
            .output();
        match mount {
            Ok(done) if done.status.success() => Ok(Self(folder.to_owned())),
            Ok(refused) => Err(String::from_utf8_lossy(&refused.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut rest = std::fs::File::create(self.0.join("rest")).unwrap();
        for bytes in [4_096, 1] {
            while rest.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.0.join("rest")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
