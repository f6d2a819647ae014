//! The functions of `vm_hooks`, as programs see them.
//!
//! A function that needs no state answers at once. One that does raises a [`Request`]: the engine
//! suspends the program, the driver serves the request with the context of the chain, and resumes.

mod accounts;
mod args;
mod calls;
mod chain;
mod math;
mod memory;
mod storage;

use wasmi::{AsContextMut, Caller, Linker, errors::LinkerError};

use super::{
    ink::Ink,
    machine::{Machine, Request, pay},
};

type Host<'a> = Caller<'a, Machine>;
type Result<T> = std::result::Result<T, wasmi::Error>;

const MODULE: &str = stylus_program::HOST_MODULE;

/// Defines every host function.
pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    accounts::link(linker)?;
    args::link(linker)?;
    calls::link(linker)?;
    chain::link(linker)?;
    math::link(linker)?;
    memory::link(linker)?;
    storage::link(linker)
}

/// Takes the price of what the program has asked for.
fn charge(host: &mut Host<'_>, ink: Ink) -> Result<()> {
    pay(host.as_context_mut(), ink).or_else(|_| Request::OutOfInk.raise())
}

#[cfg(test)]
mod tests {
    use stylus_program::{HOST_FUNCTIONS, ValueType};
    use wasmi::{Engine, Linker, Store, ValType};

    use super::*;

    #[test]
    fn the_linker_offers_what_activation_allows() {
        let engine = Engine::default();
        let mut linker = Linker::<Machine>::new(&engine);
        link(&mut linker).unwrap();
        let wasm = |ty: &ValueType| match ty {
            ValueType::I32 => ValType::I32,
            ValueType::I64 => ValType::I64,
        };
        for function in HOST_FUNCTIONS {
            let source = format!(
                "(module (import \"{MODULE}\" \"{}\" (func {} {})))",
                function.name,
                function.params.iter().map(|ty| param(wasm(ty))).collect::<String>(),
                function.result.as_ref().map(|ty| result(wasm(ty))).unwrap_or_default(),
            );
            let module = wasmi::Module::new(&engine, wat::parse_str(source).unwrap()).unwrap();
            let mut store = Store::new(&engine, Machine::idle_with(Default::default()));
            assert!(linker.instantiate_and_start(&mut store, &module).is_ok(), "{function:?}");
        }
    }

    fn param(ty: ValType) -> String {
        format!("(param {})", name(ty))
    }

    fn result(ty: ValType) -> String {
        format!("(result {})", name(ty))
    }

    fn name(ty: ValType) -> &'static str {
        if ty == ValType::I64 { "i64" } else { "i32" }
    }
}
