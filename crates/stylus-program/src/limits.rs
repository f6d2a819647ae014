//! Limits of a chain on ArbOS 60, as published for Stylus.

/// Largest code of an account, the four bytes of prefix included (EIP-170).
pub const MAX_CODE_SIZE: usize = 24_576;
/// Largest decompressed module, in bytes.
pub const MAX_WASM_SIZE: usize = 128 * 1024;
/// Largest memory of a program, in pages of 64 KiB.
pub const MEMORY_LIMIT_PAGES: u64 = 128;

pub(crate) const MAX_FUNCTIONS: u64 = 4_096;
pub(crate) const MAX_LOCALS: u64 = 348;
pub(crate) const MAX_OPERATORS: u64 = 65_536;
pub(crate) const MAX_DATA_SEGMENTS: u64 = 128;
pub(crate) const MAX_TABLE_ENTRIES: u64 = 4_096;
pub(crate) const MAX_IMPORTS: u64 = 513;
