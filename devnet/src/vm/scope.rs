use std::num::NonZeroUsize;

use lru::LruCache;
use revm::{
    interpreter::{CallInputs, CallScheme, FrameInput},
    primitives::{Address, B256},
};

use super::pages::Pages;

/// What all frames of one transaction share. Inspectors can see that it is there, not into it.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub(crate) frames: OpenFrames,
    pub(crate) pages: Pages,
    pub(crate) recent: RecentPrograms,
    /// The gas estimate that NodeInterface reports, when there is a NodeInterface.
    pub(crate) node_interface: Option<u64>,
}

/// The frames that run now, outermost first; precompiles have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenFrames(Vec<OpenFrame>);

/// One running frame, of EVM code or of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFrame {
    /// Whose storage it works on.
    pub(crate) acting: Address,
    /// Its `msg.sender`.
    pub(crate) caller: Address,
    /// Whether it runs another account's code in place of its caller.
    borrowed: bool,
}

impl OpenFrame {
    pub(crate) fn new(acting: Address, caller: Address, input: &FrameInput) -> Self {
        let borrowed = match input {
            FrameInput::Call(call) => is_borrowed(call),
            FrameInput::Create(_) | FrameInput::Empty => false,
        };
        Self { acting, caller, borrowed }
    }
}

fn is_borrowed(call: &CallInputs) -> bool {
    matches!(call.scheme, CallScheme::DelegateCall | CallScheme::CallCode)
}

impl OpenFrames {
    pub(crate) fn push(&mut self, frame: OpenFrame) {
        self.0.push(frame);
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    pub(crate) fn innermost(&self) -> Option<OpenFrame> {
        self.0.last().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether more than one open frame acts as `address`. Borrowed code does not count, or every
    /// program behind a proxy would look re-entered.
    pub(crate) fn is_reentrant(&self, address: Address) -> bool {
        self.0.iter().filter(|frame| frame.acting == address && !frame.borrowed).count() > 1
    }
}

/// Programs that ran lately in this block; they start at the cached price (ArbOS 60).
#[derive(Clone, Debug)]
pub(crate) struct RecentPrograms(LruCache<B256, ()>);

/// How many programs a block remembers.
pub(crate) const BLOCK_CACHE_SIZE: u16 = 32;

impl Default for RecentPrograms {
    fn default() -> Self {
        let size = NonZeroUsize::new(BLOCK_CACHE_SIZE.into()).unwrap_or(NonZeroUsize::MIN);
        Self(LruCache::new(size))
    }
}

impl RecentPrograms {
    /// Notes a use and tells whether there was one before.
    pub(crate) fn note(&mut self, code_hash: B256) -> bool {
        self.0.put(code_hash, ()).is_some()
    }
}
