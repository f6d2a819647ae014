//! Init code and where it leads: every address is known before anything is sent.

use alloy::primitives::{Address, B256, Bytes, keccak256};
use protocol::create2::{self, CREATE2_FACTORY};

/// Init code at a known address, put there through the CREATE2 factory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Where the code will be.
    pub address: Address,
    /// Call data for the factory: salt and init code.
    pub calldata: Bytes,
}

impl Creation {
    /// `init_code` (with its arguments) under `salt`.
    pub fn new(salt: B256, init_code: &[u8]) -> Self {
        let address = create2::address(CREATE2_FACTORY, salt, keccak256(init_code));
        Self { address, calldata: [salt.as_slice(), init_code].concat().into() }
    }

    /// A contract whose constructor makes its caller the owner. The factory would own it, so a small contract creates it
    /// and hands it to `owner` within the same init code; the address is the one that this small contract creates first.
    pub fn owned(salt: B256, init_code: &[u8], owner: Address) -> Self {
        let creator = Self::new(salt, &create_and_hand_over(init_code, owner));
        Self { address: creator.address.create(1), calldata: creator.calldata }
    }
}

/// Init code that returns `code` as it is: the prelude that Stylus tools use.
pub(crate) fn program_init_code(code: &[u8]) -> Vec<u8> {
    let mut init_code = vec![0x7f]; // PUSH32 length
    init_code.extend_from_slice(B256::left_padding_from(&code.len().to_be_bytes()).as_slice());
    init_code.extend_from_slice(&[
        0x80, // DUP1
        0x60, 0x2b, // PUSH1 43: where the code begins
        0x60, 0x00, // PUSH1 0
        0x39, // CODECOPY
        0x60, 0x00, // PUSH1 0
        0xf3, // RETURN
        0x00, // STOP: fills the prelude to 43 bytes
    ]);
    init_code.extend_from_slice(code);
    init_code
}

/// Init code that creates a contract, calls `transferOwnership(owner)` on it, and leaves no code of its own.
fn create_and_hand_over(child: &[u8], owner: Address) -> Vec<u8> {
    const TRANSFER_OWNERSHIP: [u8; 4] = [0xf2, 0xfd, 0xe3, 0x8b];
    /// Length of everything before the child's code.
    const PRELUDE: u16 = 71;
    /// Position of the JUMPDEST.
    const FAIL: u8 = 67;
    let length = u16::try_from(child.len()).unwrap_or(u16::MAX).to_be_bytes();
    let [high, low] = PRELUDE.to_be_bytes();
    let mut init_code = Vec::with_capacity(usize::from(PRELUDE) + child.len());
    // memory[0..] = child; address = CREATE(0, memory)
    init_code.extend_from_slice(&[
        0x61, length[0], length[1], // PUSH2 length
        0x80,      // DUP1
        0x61, high, low,  // PUSH2 offset
        0x5f, // PUSH0
        0x39, // CODECOPY
        0x5f, // PUSH0: offset
        0x5f, // PUSH0: value
        0xf0, // CREATE
        0x80, // DUP1
        0x15, // ISZERO
        0x60, FAIL, // PUSH1
        0x57, // JUMPI
    ]);
    // memory[0..36] = transferOwnership(owner)
    init_code.push(0x63); // PUSH4
    init_code.extend_from_slice(&TRANSFER_OWNERSHIP);
    init_code.extend_from_slice(&[
        0x60, 0xe0, // PUSH1 224
        0x1b, // SHL
        0x5f, // PUSH0
        0x52, // MSTORE
    ]);
    init_code.push(0x73); // PUSH20
    init_code.extend_from_slice(owner.as_slice());
    init_code.extend_from_slice(&[
        0x60, 0x04, // PUSH1 4
        0x52, // MSTORE
    ]);
    // CALL(gas, address, 0, memory 0, 36, 0, 0)
    init_code.extend_from_slice(&[
        0x5f, // PUSH0: length of output
        0x5f, // PUSH0: output
        0x60, 0x24, // PUSH1 36: length of input
        0x5f, // PUSH0: input
        0x5f, // PUSH0: value
        0x85, // DUP6: address
        0x5a, // GAS
        0xf1, // CALL
        0x15, // ISZERO
        0x60, FAIL, // PUSH1
        0x57, // JUMPI
        0x5f, 0x5f, 0xf3, // RETURN nothing
    ]);
    init_code.extend_from_slice(&[
        0x5b, // JUMPDEST
        0x5f, 0x5f, 0xfd, // REVERT
    ]);
    init_code.extend_from_slice(child);
    init_code
}
