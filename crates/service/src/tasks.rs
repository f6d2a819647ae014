//! Named tasks with one end: a failure of any stops all, and stopping takes a bounded time.

use std::{
    any::Any, borrow::Cow, fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration,
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one service, owned by its handle. Dropping it stops them at once.
#[derive(Debug)]
pub struct Tasks {
    spawner: Spawner,
}

/// Starts tasks of a [`Tasks`]; clones may be kept by the tasks themselves.
#[derive(Debug, Clone)]
pub struct Spawner {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Asks tasks to end by themselves.
    shutdown: CancellationToken,
    /// Drops what has not ended.
    kill: CancellationToken,
    tracker: TaskTracker,
    failure: Mutex<Option<TaskFailure>>,
}

/// The first task that failed, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {name:?} {cause}")]
pub struct TaskFailure {
    /// The name it was spawned under.
    pub name: String,
    /// What happened to it.
    pub cause: Cause,
}

/// How a task failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It panicked with this message.
    Panicked(String),
    /// It returned this error.
    Failed(String),
    /// It ended although nothing asked it to.
    EndedEarly,
}

/// Why a stop was not clean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// A task failed before, which is why the service stopped.
    #[error(transparent)]
    Failure(#[from] TaskFailure),
    /// Tasks that had not ended within the bound were dropped.
    #[error("{left} tasks did not end within {bound:?}")]
    Late {
        /// How many.
        left: usize,
        /// The time they had.
        bound: Duration,
    },
}

/// What a task may return: nothing, or a result whose error fails the service.
pub trait Outcome {
    /// The error's text, if there is one.
    fn failure(self) -> Option<String>;
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self { spawner: Spawner { shared: Arc::default() } }
    }

    /// A handle that starts tasks and does not keep them alive.
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// See [`Spawner::spawn`].
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.spawner.spawn(name, task);
    }

    /// See [`Spawner::spawn_job`].
    pub fn spawn_job<F>(&self, name: impl Into<Cow<'static, str>>, job: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.spawner.spawn_job(name, job);
    }

    /// See [`Spawner::shutdown`].
    pub fn shutdown(&self) -> CancellationToken {
        self.spawner.shutdown()
    }

    /// Completes when shutdown was asked for, by a stop or by a failure.
    pub async fn ended(&self) {
        self.spawner.shared.shutdown.cancelled().await;
    }

    /// The failure that ended the service, if one did.
    pub fn failure(&self) -> Option<TaskFailure> {
        self.spawner.shared.failure.lock().clone()
    }

    /// Asks every task to end, waits for them up to `bound`, and drops the rest.
    ///
    /// # Errors
    /// [`StopError::Failure`] when a task had failed, [`StopError::Late`] when some were dropped.
    pub async fn stop(&self, bound: Duration) -> Result<(), StopError> {
        let shared = &self.spawner.shared;
        shared.shutdown.cancel();
        shared.tracker.close();
        let in_time = tokio::time::timeout(bound, shared.tracker.wait()).await.is_ok();
        let left = shared.tracker.len();
        shared.kill.cancel();
        shared.tracker.wait().await;
        match self.failure() {
            Some(failure) => Err(failure.into()),
            None if in_time => Ok(()),
            None => Err(StopError::Late { left, bound }),
        }
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.spawner.shared.shutdown.cancel();
        self.spawner.shared.kill.cancel();
    }
}

impl Spawner {
    /// Starts a task that must run as long as the service: when it panics, fails, or ends before
    /// [`Self::shutdown`], the whole service stops with that as its [`TaskFailure`].
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.start(name.into(), true, task);
    }

    /// Starts a piece of work that may end; only a panic or an error stops the service.
    pub fn spawn_job<F>(&self, name: impl Into<Cow<'static, str>>, job: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.start(name.into(), false, job);
    }

    /// The token that tells a task to end. A task watches it at every wait.
    pub fn shutdown(&self) -> CancellationToken {
        self.shared.shutdown.clone()
    }

    fn start<F>(&self, name: Cow<'static, str>, critical: bool, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        self.shared.tracker.spawn(async move {
            let guarded = AssertUnwindSafe(task).catch_unwind();
            let Some(end) = shared.kill.clone().run_until_cancelled_owned(guarded).await else {
                return;
            };
            let cause = match end.map(Outcome::failure) {
                Err(panic) => Cause::Panicked(panic_message(panic.as_ref())),
                Ok(Some(error)) => Cause::Failed(error),
                Ok(None) if critical && !shared.shutdown.is_cancelled() => Cause::EndedEarly,
                Ok(None) => return,
            };
            shared.fail(TaskFailure { name: name.into_owned(), cause });
        });
    }
}

impl Shared {
    fn fail(&self, failure: TaskFailure) {
        tracing::error!(task = failure.name, cause = %failure.cause, "task failed, stopping");
        self.failure.lock().get_or_insert(failure);
        self.shutdown.cancel();
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::EndedEarly => write!(f, "ended although nothing asked it to"),
        }
    }
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| format!("{error:#}"))
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn stopping_waits_for_tasks_that_clean_up() {
        let tasks = Tasks::new();
        let shutdown = tasks.shutdown();
        let (done, cleaned) = tokio::sync::oneshot::channel();
        tasks.spawn("tidy", async move {
            shutdown.cancelled().await;
            tokio::task::yield_now().await;
            done.send(()).unwrap();
        });
        tasks.stop(BOUND).await.unwrap();
        cleaned.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_stops_the_service_under_the_name_of_the_task() {
        let tasks = Tasks::new();
        let shutdown = tasks.shutdown();
        tasks.spawn("steady", async move { shutdown.cancelled().await });
        tasks.spawn("fragile", async { assert_eq!(1, 2, "broke") });
        tasks.ended().await;
        let Err(StopError::Failure(failure)) = tasks.stop(BOUND).await else {
            panic!("stopped cleanly");
        };
        assert_eq!(failure.name, "fragile");
        assert!(matches!(&failure.cause, Cause::Panicked(why) if why.contains("broke")));
    }

    #[tokio::test]
    async fn an_early_end_is_a_failure_of_a_task_and_not_of_a_job() {
        let tasks = Tasks::new();
        tasks.spawn_job("job", async {});
        tasks.spawn("task", async {});
        tasks.ended().await;
        assert_eq!(tasks.failure().map(|failure| failure.cause), Some(Cause::EndedEarly));
    }

    #[tokio::test]
    async fn what_does_not_end_in_time_is_dropped() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending::<()>());
        let bound = Duration::from_millis(10);
        assert_eq!(tasks.stop(bound).await, Err(StopError::Late { left: 1, bound }));
    }

    #[tokio::test]
    async fn dropping_the_owner_drops_the_tasks() {
        let tasks = Tasks::new();
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("holder", async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(tasks);
        assert!(dropped.await.is_err());
    }
}
