use std::io::Read;

use alloy_primitives::{B256, keccak256};

use crate::{MAX_CODE_SIZE, MAX_WASM_SIZE};

/// Begins every classic program: `EF F0 00`, then the dictionary (0 = none).
const PREFIX: [u8; 4] = [0xEF, 0xF0, 0x00, 0x00];
/// Best ratio; programs are compressed once and stored forever.
const BROTLI_QUALITY: i32 = 11;
/// A window of 4 MiB, the largest that chains decode.
const BROTLI_WINDOW: i32 = 22;

/// A program as an account holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// Prefix and compressed module.
    pub code: Vec<u8>,
    /// Length of the module, in bytes.
    pub wasm_len: usize,
    /// Keccak-256 of `code`; activation is per code hash.
    pub code_hash: B256,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("code_len", &self.code.len())
            .field("wasm_len", &self.wasm_len)
            .field("code_hash", &self.code_hash)
            .finish()
    }
}

impl Program {
    /// Compresses a module.
    ///
    /// # Errors
    /// The module or the result is larger than a chain takes.
    pub fn from_wasm(wasm: &[u8]) -> Result<Self, CodeError> {
        let code = compress(wasm)?;
        if code.len() > MAX_CODE_SIZE {
            return Err(CodeError::CodeTooLarge { given: code.len(), limit: MAX_CODE_SIZE });
        }
        Ok(Self { wasm_len: wasm.len(), code_hash: keccak256(&code), code })
    }

    /// Reads a program from the code of an account.
    ///
    /// # Errors
    /// The code is no classic program, or does not decompress.
    pub fn from_code(code: Vec<u8>) -> Result<Self, CodeError> {
        let wasm_len = decompress(&code)?.len();
        Ok(Self { wasm_len, code_hash: keccak256(&code), code })
    }

    /// Puts the prefix before a brotli stream.
    ///
    /// # Errors
    /// The stream does not decompress.
    pub(crate) fn from_brotli(stream: &[u8]) -> Result<Self, CodeError> {
        Self::from_code([&PREFIX, stream].concat())
    }

    /// The brotli stream alone: the code without its prefix.
    pub(crate) fn brotli(&self) -> &[u8] {
        &self.code[PREFIX.len()..]
    }
}

/// How code is to be read, told from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// `EFF000`: a program in one account.
    Classic,
    /// `EFF001`: a piece of a program that is spread over accounts.
    Fragment,
    /// `EFF002`: the root of a program that is spread over accounts.
    Root,
    /// Anything else.
    Evm,
}

impl CodeKind {
    /// The kind of this code.
    pub fn of(code: &[u8]) -> Self {
        match code {
            [0xEF, 0xF0, 0x00, ..] => Self::Classic,
            [0xEF, 0xF0, 0x01, ..] => Self::Fragment,
            [0xEF, 0xF0, 0x02, ..] => Self::Root,
            _ => Self::Evm,
        }
    }
}

/// Why code cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// The code does not begin with the prefix of a classic program.
    #[error("not a Stylus program: expected the prefix EFF000, got {given:02X?}")]
    NotAProgram {
        /// The first bytes of the code, at most four.
        given: Vec<u8>,
    },
    /// Programs spread over several accounts (`EFF001`, `EFF002`) are not supported.
    #[error("fragmented programs are not supported ({0:?})")]
    Fragmented(CodeKind),
    /// The module is compressed with a dictionary that is not supported.
    #[error("dictionary {0} is not supported, only 0 (none)")]
    Dictionary(u8),
    /// The payload is not a brotli stream.
    #[error("payload does not decompress: {0}")]
    Brotli(String),
    /// The module is larger than a chain takes.
    #[error("module of {given} bytes or more, at most {limit} are allowed")]
    WasmTooLarge {
        /// Bytes seen.
        given: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The code is larger than an account holds.
    #[error("code of {given} bytes, at most {limit} are allowed")]
    CodeTooLarge {
        /// Bytes of the code.
        given: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// The code of a classic program: prefix and brotli stream.
///
/// # Errors
/// The module is larger than [`MAX_WASM_SIZE`].
pub fn compress(wasm: &[u8]) -> Result<Vec<u8>, CodeError> {
    if wasm.len() > MAX_WASM_SIZE {
        return Err(CodeError::WasmTooLarge { given: wasm.len(), limit: MAX_WASM_SIZE });
    }
    let mut code = PREFIX.to_vec();
    let params = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &wasm[..], &mut code, &params)
        .map_err(|error| CodeError::Brotli(error.to_string()))?;
    Ok(code)
}

/// The module inside the code of a classic program.
///
/// # Errors
/// The code is no classic program, its payload does not decompress, or the module is larger than
/// [`MAX_WASM_SIZE`]; no more than that is ever decompressed.
pub fn decompress(code: &[u8]) -> Result<Vec<u8>, CodeError> {
    match CodeKind::of(code) {
        CodeKind::Classic => {}
        kind @ (CodeKind::Fragment | CodeKind::Root) => return Err(CodeError::Fragmented(kind)),
        CodeKind::Evm => {
            return Err(CodeError::NotAProgram { given: code.iter().take(4).copied().collect() });
        }
    }
    let Some((&dictionary, payload)) = code[3..].split_first() else {
        return Err(CodeError::NotAProgram { given: code.to_vec() });
    };
    if dictionary != 0 {
        return Err(CodeError::Dictionary(dictionary));
    }
    let mut wasm = Vec::new();
    brotli::Decompressor::new(payload, 4096)
        .take(MAX_WASM_SIZE as u64 + 1)
        .read_to_end(&mut wasm)
        .map_err(|error| CodeError::Brotli(error.to_string()))?;
    if wasm.len() > MAX_WASM_SIZE {
        return Err(CodeError::WasmTooLarge { given: wasm.len(), limit: MAX_WASM_SIZE });
    }
    Ok(wasm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_survives_compression() {
        let wasm = wat::parse_str("(module (memory (export \"memory\") 1))").unwrap();
        let program = Program::from_wasm(&wasm).unwrap();
        assert_eq!(&program.code[..4], &PREFIX);
        assert_eq!(decompress(&program.code).unwrap(), wasm);
        assert_eq!(Program::from_code(program.code.clone()).unwrap(), program);
    }

    #[test]
    fn other_code_is_refused_with_its_kind() {
        assert_eq!(
            decompress(&[0x60, 0x80]),
            Err(CodeError::NotAProgram { given: vec![0x60, 0x80] })
        );
        assert_eq!(
            decompress(&[0xEF, 0xF0, 0x01, 0x00]),
            Err(CodeError::Fragmented(CodeKind::Fragment))
        );
        assert_eq!(
            decompress(&[0xEF, 0xF0, 0x02, 0x00]),
            Err(CodeError::Fragmented(CodeKind::Root))
        );
        assert_eq!(decompress(&[0xEF, 0xF0, 0x00, 0x01]), Err(CodeError::Dictionary(1)));
        assert!(matches!(decompress(&[0xEF, 0xF0, 0x00]), Err(CodeError::NotAProgram { .. })));
        assert!(matches!(decompress(&[0xEF, 0xF0, 0x00, 0x00, 0x42]), Err(CodeError::Brotli(_))));
    }

    #[test]
    fn a_bomb_is_not_unpacked_beyond_the_limit() {
        let mut code = PREFIX.to_vec();
        let zeros = vec![0; 8 << 20];
        brotli::BrotliCompress(&mut &zeros[..], &mut code, &Default::default()).unwrap();
        assert_eq!(
            decompress(&code),
            Err(CodeError::WasmTooLarge { given: MAX_WASM_SIZE + 1, limit: MAX_WASM_SIZE })
        );
        assert!(matches!(compress(&zeros), Err(CodeError::WasmTooLarge { .. })));
    }
}
