use std::collections::BTreeMap;

use revm::primitives::{Address, B256, Bytes, Log, U256};
use revm::{context_interface::CreateScheme, interpreter::CallScheme};
use wasmi::{Memory, StoreContextMut, StoreLimits};

use super::{
    ink::{FUEL_PER_GAS, Ink},
    pages::Pages,
};

/// What the host keeps for one running program, beside its memory.
pub(super) struct Machine {
    /// Call data.
    pub(super) args: Bytes,
    /// Return or revert data, as last written by the program.
    pub(super) result: Bytes,
    /// Data returned by the last call or creation.
    pub(super) return_data: Bytes,
    pub(super) storage: BTreeMap<U256, CachedWord>,
    /// Set once the module is instantiated.
    pub(super) memory: Option<Memory>,
    pub(super) call: CallFacts,
    pub(super) chain: ChainFacts,
    /// Bounds the engine's memory.
    pub(super) limits: StoreLimits,
    /// Memory of the whole transaction while this program runs.
    pub(super) pages: Pages,
    /// How many pages of this program's memory are paid for.
    pub(super) paid_pages: u16,
}

/// A storage word in a program's write-back cache.
#[derive(Clone, Copy)]
pub(super) struct CachedWord {
    pub(super) value: U256,
    /// What the chain holds, when that is known.
    pub(super) stored: Option<U256>,
}

impl CachedWord {
    pub(super) fn is_dirty(&self) -> bool {
        self.stored != Some(self.value)
    }
}

/// Who called, and as whom the program acts.
#[derive(Clone, Copy)]
pub(super) struct CallFacts {
    pub(super) acting: Address,
    pub(super) sender: Address,
    pub(super) value: U256,
    pub(super) is_static: bool,
    pub(super) is_reentrant: bool,
}

/// Block and transaction as the program sees them.
#[derive(Clone, Copy)]
pub(super) struct ChainFacts {
    pub(super) origin: Address,
    pub(super) gas_price: U256,
    pub(super) base_fee: U256,
    pub(super) coinbase: Address,
    pub(super) number: u64,
    pub(super) timestamp: u64,
    pub(super) gas_limit: u64,
    pub(super) chain_id: u64,
}

/// Why a program stops before it returns: something only the driver can do.
#[derive(Debug)]
pub(super) enum Request {
    Exit { status: i32 },
    OutOfInk,
    LoadStorage { key: U256, dest: u32 },
    FlushStorage { clear: bool },
    LoadTransient { key: U256, dest: u32 },
    StoreTransient { key: U256, value: U256 },
    Call(CallRequest),
    Create(CreateRequest),
    EmitLog { topics: Vec<B256>, data: Bytes },
    Balance { of: Address, dest: u32 },
    Code { of: Address, offset: u32, size: u32, dest: u32 },
    CodeSize { of: Address },
    CodeHash { of: Address, dest: u32 },
}

/// A call into another contract.
#[derive(Clone, Debug)]
pub(super) struct CallRequest {
    pub(super) scheme: CallScheme,
    pub(super) to: Address,
    pub(super) data: Bytes,
    pub(super) value: U256,
    pub(super) gas: u64,
    /// Where the length of the returned data goes.
    pub(super) len_dest: u32,
}

/// The creation of a contract.
#[derive(Clone, Debug)]
pub(super) struct CreateRequest {
    pub(super) code: Bytes,
    pub(super) value: U256,
    pub(super) scheme: CreateScheme,
    /// Where the new address goes.
    pub(super) address_dest: u32,
    /// Where the length of the returned data goes.
    pub(super) len_dest: u32,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl wasmi::errors::HostError for Request {}

impl Request {
    /// Suspends the program until the request is served.
    pub(super) fn raise<T>(self) -> Result<T, wasmi::Error> {
        Err(wasmi::Error::host(self))
    }

    pub(super) fn log(acting: Address, topics: &[B256], data: &Bytes) -> Log {
        Log::new_unchecked(acting, topics.to_vec(), data.clone())
    }
}

/// The program cannot pay; its fuel is gone.
#[derive(Debug)]
pub(super) struct OutOfInk;

/// Pays for ink and for memory that grew since the last payment.
///
/// Programs announce no growth, and the engine lets a host refuse it but not charge for it. So growth is charged at the
/// next host call, or at the end, whatever that is: nothing that a program can observe, or that others can observe of
/// it, happens in between.
pub(super) fn pay(mut store: StoreContextMut<'_, Machine>, ink: Ink) -> Result<(), OutOfInk> {
    let mut fuel = ink.fuel();
    if let Some(memory) = store.data().memory {
        let size = u16::try_from(memory.size(&store)).unwrap_or(u16::MAX);
        let machine = store.data_mut();
        if size > machine.paid_pages {
            let gas = machine.pages.add(size - machine.paid_pages);
            machine.paid_pages = size;
            fuel = fuel.saturating_add(gas.saturating_mul(FUEL_PER_GAS));
        }
    }
    let left = store.get_fuel().unwrap_or(0);
    let (left, paid) = match left.checked_sub(fuel) {
        Some(left) => (left, Ok(())),
        None => (0, Err(OutOfInk)),
    };
    // Metering is always on, so that setting the fuel cannot fail; were it off, nothing is left.
    store.set_fuel(left).map_err(|_| OutOfInk)?;
    paid
}
