use std::fmt;

/// Something that a module counts and a chain limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Bytes of the decompressed module.
    WasmBytes,
    /// Functions, imported ones included.
    Functions,
    /// Locals of one function, parameters included.
    Locals,
    /// Operators of one function.
    Operators,
    /// Data segments.
    DataSegments,
    /// Entries of a table.
    TableEntries,
    /// Imports.
    Imports,
    /// Pages of memory at the start.
    MemoryPages,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WasmBytes => "bytes of decompressed WASM",
            Self::Functions => "functions",
            Self::Locals => "locals in one function",
            Self::Operators => "operators in one function",
            Self::DataSegments => "data segments",
            Self::TableEntries => "table entries",
            Self::Imports => "imports",
            Self::MemoryPages => "pages of initial memory",
        })
    }
}

/// One reason for which a chain refuses to activate a module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are no valid module under the features that chains allow.
    #[error("not a valid module: {message} (at byte {offset})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where in the module.
        offset: u64,
    },
    /// A limit is exceeded.
    #[error("{given} {item}, at most {limit} are allowed{}", in_function(.function))]
    TooMany {
        /// What is counted.
        item: Item,
        /// How many there are.
        given: u64,
        /// How many there may be.
        limit: u64,
        /// The function concerned, by index, when the limit is per function.
        function: Option<u32>,
    },
    /// An operator of a proposal that chains do not run, or one on floats. Reported once a kind.
    #[error("operator {operator} ({reason}) in function {function}")]
    Operator {
        /// Name of the first such operator.
        operator: &'static str,
        /// Why it is not allowed.
        reason: &'static str,
        /// The function that holds it, by index.
        function: u32,
    },
    /// `call_indirect` names its table in more than one byte, which only parsers with reference
    /// types accept.
    #[error("overlong table index of call_indirect in function {function}")]
    OverlongCallIndirect {
        /// The function that holds it, by index.
        function: u32,
    },
    /// A section that chains do not accept.
    #[error("section {name} is not allowed")]
    Section {
        /// The section's name.
        name: &'static str,
    },
    /// A function type with several results.
    #[error("type {index} has {results} results, at most one is allowed")]
    MultiValue {
        /// Index of the type.
        index: u32,
        /// How many results it has.
        results: usize,
    },
    /// A value type other than `i32` and `i64`.
    #[error("values of type {given} are not allowed")]
    ValueType {
        /// The type.
        given: String,
    },
    /// An import that no chain offers.
    #[error("import {module}::{name} does not exist")]
    UnknownImport {
        /// Module named by the import.
        module: String,
        /// Name of the import.
        name: String,
    },
    /// A host function imported with another type than it has.
    #[error("import {name} has another type than the host function")]
    ImportType {
        /// The host function.
        name: String,
    },
    /// `vm_hooks::pay_for_memory_grow` is not imported.
    #[error("import vm_hooks::pay_for_memory_grow is missing")]
    NoMemoryPayment,
    /// There is not exactly one memory, defined by the module and exported as `memory`.
    #[error("expected one memory exported as \"memory\": {given}")]
    Memory {
        /// What there is instead.
        given: &'static str,
    },
    /// The entrypoint is missing or has another type.
    #[error("expected an exported function user_entrypoint(i32) -> i32: {given}")]
    Entrypoint {
        /// What there is instead.
        given: &'static str,
    },
    /// The name of an export or import begins with `stylus_`, which the chain keeps for itself.
    #[error("name {name} is reserved")]
    ReservedName {
        /// The name.
        name: String,
    },
}

fn in_function(function: &Option<u32>) -> String {
    function.map(|index| format!(" (function {index})")).unwrap_or_default()
}
