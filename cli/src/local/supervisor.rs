use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use service::{
    retry::Backoff,
    tasks::{StopError, Tasks},
};
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Time that a child has to end by itself once its standard input is closed.
const CHILD_STOP: Duration = Duration::from_secs(15);
/// A child that has run this long is restarted without delay when it ends.
const STEADY: Duration = Duration::from_secs(30);

/// Child processes that are started again when they end.
///
/// A child is told to end by closing its standard input, which also happens when this process is
/// killed: no child outlives it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    tasks: Tasks,
    folders: Folders,
    states: Arc<watch::Sender<BTreeMap<String, ChildState>>>,
}

/// Where the supervisor writes.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// One log a child: `<name>.log`.
    pub(crate) logs: PathBuf,
    /// One process id a child: `<name>.pid`.
    pub(crate) pids: PathBuf,
}

/// One child to keep alive.
#[derive(Debug, Clone)]
pub(crate) struct ChildSpec {
    /// Names its log and its process id file.
    pub(crate) name: String,
    /// Arguments of this same program.
    pub(crate) arguments: Vec<OsString>,
}

/// What a child does at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChildState {
    /// How often it has ended without being asked to.
    pub(crate) ends: u32,
    /// How it ended the last time.
    pub(crate) last_end: Option<String>,
}

impl Supervisor {
    /// No children yet; creates the folders.
    pub(crate) fn new(folders: Folders) -> io::Result<Self> {
        fs::create_dir_all(&folders.logs)?;
        fs::create_dir_all(&folders.pids)?;
        let states = Arc::new(watch::Sender::new(BTreeMap::new()));
        Ok(Self { tasks: Tasks::new(), folders, states })
    }

    /// Starts a child and keeps it running until [`Self::stop`].
    pub(crate) fn start(&self, spec: ChildSpec) {
        let keeper = Keeper {
            folders: self.folders.clone(),
            states: Arc::clone(&self.states),
            shutdown: self.tasks.shutdown(),
            spec,
        };
        self.tasks.spawn(keeper.spec.name.clone(), keeper.run());
    }

    /// How each child fares.
    pub(crate) fn states(&self) -> BTreeMap<String, ChildState> {
        self.states.borrow().clone()
    }

    /// The log of a child.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folders.log(name)
    }

    /// Completes when a child cannot be kept alive at all.
    pub(crate) async fn failed(&self) {
        self.tasks.ended().await;
    }

    /// Stops every child and waits for their end.
    pub(crate) async fn stop(self) -> Result<(), StopError> {
        self.tasks.stop(CHILD_STOP + Duration::from_secs(5)).await
    }
}

impl Folders {
    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    fn pid(&self, name: &str) -> PathBuf {
        self.pids.join(format!("{name}.pid"))
    }
}

/// The task behind one child.
struct Keeper {
    spec: ChildSpec,
    folders: Folders,
    states: Arc<watch::Sender<BTreeMap<String, ChildState>>>,
    shutdown: CancellationToken,
}

impl Keeper {
    async fn run(self) -> io::Result<()> {
        let mut backoff = Backoff::default();
        while !self.shutdown.is_cancelled() {
            let begun = Instant::now();
            let mut child = self.spawn()?;
            // Taken out, because waiting for a child closes the one it holds.
            let lifeline = child.stdin.take();
            let ended = self.shutdown.run_until_cancelled(child.wait()).await;
            let Some(status) = ended else { return end(child, lifeline).await };
            self.note_end(status?);
            if begun.elapsed() > STEADY {
                backoff = Backoff::default();
            }
            if !backoff.pause(&self.shutdown).await {
                break;
            }
        }
        Ok(())
    }

    fn spawn(&self) -> io::Result<Child> {
        let log =
            OpenOptions::new().create(true).append(true).open(self.folders.log(&self.spec.name))?;
        let child = Command::new(std::env::current_exe()?)
            .args(&self.spec.arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C reaches this process alone, which stops its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(pid) = child.id() {
            fs::write(self.folders.pid(&self.spec.name), pid.to_string())?;
        }
        Ok(child)
    }

    fn note_end(&self, status: ExitStatus) {
        let name = &self.spec.name;
        tracing::warn!(child = name, %status, "ended, starting it again");
        self.states.send_modify(|states| {
            let state = states.entry(name.clone()).or_default();
            state.ends += 1;
            state.last_end = Some(status.to_string());
        });
    }
}

/// Closes the child's standard input and waits; kills it when it takes too long.
async fn end(mut child: Child, lifeline: Option<ChildStdin>) -> io::Result<()> {
    drop(lifeline);
    match timeout(CHILD_STOP, child.wait()).await {
        Ok(status) => status.map(drop),
        Err(_) => child.kill().await,
    }
}

/// The last lines of a log, for a message about a child that failed.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
