use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use api::aggregator::QuoteResponse;
use lru::LruCache;
use parking_lot::Mutex;

use crate::quoting::{Keep, KeptAnswer};

/// Most answers that are kept: some ten megabytes of them.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Answers that are given again while every part of them may be, by identity of the route.
#[derive(Debug)]
pub(super) struct KeptAnswers(Mutex<LruCache<[u8; 32], Kept>>);

#[derive(Debug)]
struct Kept {
    since: Instant,
    life: Duration,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// As it was given the first time: most answers are not asked for again.
    Given(Box<(QuoteResponse, Keep)>),
    Ready(Arc<KeptAnswer>),
}

impl Default for KeptAnswers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl KeptAnswers {
    /// The JSON of the answer to this question.
    pub(super) fn get(&self, question: &[u8; 32], now: Instant) -> Option<Vec<u8>> {
        let mut all = self.0.lock();
        let kept = all.get(question)?;
        let age = now.saturating_duration_since(kept.since);
        if age < kept.life
            && let Form::Ready(ready) = &kept.form
        {
            let ready = Arc::clone(ready);
            drop(all);
            return Some(ready.after(age));
        }
        let Kept { since, life, form } = all.pop(question)?;
        drop(all);
        let (Form::Given(given), true) = (form, age < life) else { return None };
        let (answer, keep) = *given;
        let ready = KeptAnswer::new(answer, keep).inspect_err(|error| {
            tracing::error!(%error, "an answer cannot be written");
        });
        let ready = Arc::new(ready.ok()?);
        let form = Form::Ready(Arc::clone(&ready));
        self.0.lock().put(*question, Kept { since, life, form });
        Some(ready.after(age))
    }

    /// Keeps an answer that was given now.
    pub(super) fn put(&self, question: [u8; 32], answer: QuoteResponse, keep: Keep) {
        let (since, life) = (Instant::now(), keep.life());
        let form = Form::Given(Box::new((answer, keep)));
        self.0.lock().put(question, Kept { since, life, form });
    }
}
