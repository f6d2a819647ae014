//! What a Stylus program is to a chain: the prefix and compression of its code, and the rules that
//! activation checks.

mod activation;
mod code;
mod fault;
mod host_function;
mod limits;
mod programs;

pub use activation::{ProgramInfo, check};
pub use code::{CodeError, CodeKind, Program, compress, decompress};
pub use fault::{Fault, Item};
pub use host_function::{HOST_FUNCTIONS, HOST_MODULE, HostFunction, ValueType};
pub use limits::{MAX_CODE_SIZE, MAX_WASM_SIZE, MEMORY_LIMIT_PAGES};
pub use programs::{
    CompileError, Entry, Index, PROGRAMS_VARIABLE, Programs, ProgramsError, Source, SourceError,
};
