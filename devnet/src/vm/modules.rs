use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;
use revm::primitives::B256;
use stylus_program::{CodeError, MEMORY_LIMIT_PAGES};
use wasmi::{CompilationMode, Config, CustomFuelCosts, Engine, Linker, Module};

use super::{hostio, machine::Machine, operator_prices::operator_prices};

/// The WASM engine with the modules it has translated. Clones share everything.
#[derive(Clone)]
pub(super) struct Modules(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<Machine>,
    translated: Mutex<LruCache<B256, Module>>,
}

/// Words of a program's stack, from ArbOS 50.
pub(crate) const MAX_STACK_WORDS: u32 = 22_000;
/// Fuel for copying; 25 ink for 64 bytes.
const BYTES_COPIED_PER_FUEL: u32 = 64;
/// Pages are 64 KiB.
const PAGE_BYTES: usize = 65_536;

/// Most bytes that a program's memory can have.
pub(super) const MEMORY_LIMIT: usize = MEMORY_LIMIT_PAGES as usize * PAGE_BYTES;

impl std::fmt::Debug for Modules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let translated = self.0.translated.lock().len();
        f.debug_struct("Modules").field("translated", &translated).finish_non_exhaustive()
    }
}

/// Why there is no module for some code.
#[derive(Debug, thiserror::Error)]
pub(super) enum ModuleError {
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error("module is refused: {0}")]
    Wasm(#[from] wasmi::Error),
}

impl Modules {
    /// An engine that keeps up to `capacity` modules.
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        let engine = Engine::new(&config());
        let mut linker = Linker::new(&engine);
        if let Err(error) = hostio::link(&mut linker) {
            // The names are written down in this crate; a test links them all.
            unreachable!("two host functions share a name: {error}");
        }
        let translated = Mutex::new(LruCache::new(capacity));
        Self(Arc::new(Inner { engine, linker, translated }))
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn linker(&self) -> &Linker<Machine> {
        &self.0.linker
    }

    /// The module in the code with this hash.
    pub(super) fn get(&self, code_hash: B256, code: &[u8]) -> Result<Module, ModuleError> {
        if let Some(module) = self.0.translated.lock().get(&code_hash) {
            return Ok(module.clone());
        }
        let wasm = stylus_program::decompress(code)?;
        let module = Module::new(&self.0.engine, &wasm)?;
        self.0.translated.lock().put(code_hash, module.clone());
        Ok(module)
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .operator_cost(operator_prices())
        // Translation must be free: whether a module is translated already is not the chain's
        // business, and gas must not depend on it.
        .fuel_cost(CustomFuelCosts {
            bytes_copied_per_fuel: BYTES_COPIED_PER_FUEL,
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        })
        .set_max_stack_height(MAX_STACK_WORDS as usize * size_of::<u64>())
        .set_max_recursion_depth(MAX_STACK_WORDS as usize)
        .floats(false)
        .wasm_multi_value(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false)
        .allow_start_fn(false)
        .ignore_custom_sections(true)
        .compilation_mode(CompilationMode::LazyTranslation);
    config
}
