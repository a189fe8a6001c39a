//! What the story is played on: a folder, and the product's own commands as processes of their own.
//!
//! Nothing here reaches into the product. The server is `hauspost serve`, admins, officers and
//! council run the commands that they would type, so what the demo shows is what people get.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::DemoError;

/// How long a process of ours may take to come up.
const START: Duration = Duration::from_secs(60);

/// The folder in which everything happens; removed at the end unless it is to be kept.
pub struct Stage {
    folder: PathBuf,
    program: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Stage {
    /// A stage in a new folder under the system's temporary one, or in this empty one.
    pub fn new(keep: Option<&Path>) -> Result<Self, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::Stage)?;
        let temporary = match keep {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("hauspost-demo-")
                    .tempdir()
                    .map_err(DemoError::Stage)?,
            ),
        };
        let folder = match (&temporary, keep) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, Some(folder)) => {
                std::fs::create_dir_all(folder).map_err(DemoError::Stage)?;
                if std::fs::read_dir(folder).map_err(DemoError::Stage)?.next().is_some() {
                    return Err(DemoError::NotEmpty(folder.to_owned()));
                }
                folder.canonicalize().map_err(DemoError::Stage)?
            }
            (None, None) => unreachable!("without a folder to keep there is a temporary one"),
        };
        Ok(Self { folder, program, temporary })
    }

    /// A path in the stage's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether the folder goes away at the end.
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Runs `hauspost` with these arguments in the stage's folder and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started or exits with anything but 0.
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String, DemoError> {
        let output = self.output(arguments).await?;
        if !output.status.success() {
            return Err(DemoError::Command {
                command: shown(arguments),
                said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs `hauspost` with these arguments and gives how it ended, whatever that is.
    pub async fn output<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<Output, DemoError> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output())
            .await
            .map_err(|error| DemoError::Stage(std::io::Error::other(error)))?
            .map_err(DemoError::Stage)
    }

    /// Starts `hauspost serve` on an empty folder and a free port of this machine.
    pub async fn serve(&self) -> Result<ServerProcess, DemoError> {
        let data = self.path("server");
        let log = std::fs::File::create(self.path("server.log")).map_err(DemoError::Stage)?;
        let arguments = [
            "serve".as_ref(),
            "--data".as_ref(),
            data.as_os_str(),
            "--listen".as_ref(),
            "127.0.0.1:0".as_ref(),
            "--checkpoint-seconds".as_ref(),
            "1".as_ref(),
        ];
        let child = self
            .command::<&OsStr>(&arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(DemoError::Stage)?)
            .stderr(log)
            .spawn()
            .map_err(DemoError::Stage)?;
        let mut server = ServerProcess { child, url: String::new(), data };
        let begun = Instant::now();
        while begun.elapsed() < START {
            if let Ok(url) = std::fs::read_to_string(server.data.join("address")) {
                server.url = url.trim().to_owned();
                return Ok(server);
            }
            if server.child.try_wait().map_err(DemoError::Stage)?.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let said = std::fs::read_to_string(self.path("server.log")).unwrap_or_default();
        Err(DemoError::Command { command: "hauspost serve".to_owned(), said })
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder);
        command
    }
}

fn shown<A: AsRef<OsStr>>(arguments: &[A]) -> String {
    let words = arguments.iter().map(|word| word.as_ref().to_string_lossy().into_owned());
    std::iter::once("hauspost".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// The server's process; it ends with this value.
pub struct ServerProcess {
    child: Child,
    /// Where it listens.
    pub url: String,
    /// Its data folder.
    pub data: PathBuf,
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // A server that is gone already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for item in std::fs::read_dir(from)? {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            copy_folder(&item.path(), &target)?;
        } else {
            std::fs::copy(item.path(), target)?;
        }
    }
    Ok(())
}
