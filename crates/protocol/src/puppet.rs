//! Puppets: accounts of a few dozen bytes of EVM code that hold money and do what one program asks of them.
//!
//! An intent's vault and the Inbox's Executor are puppets. A puppet accepts plain ETH from anyone. Called with data by
//! its owner, it makes the call that the data describes and answers, or reverts, with what that call did. Called with
//! data by anyone else it reverts with the error it was made with. It has no other power, no storage and no way to
//! change its owner.
//!
//! They are EVM code and not WASM because every WASM frame costs gas to start, and because then all rules about money
//! are in one place: in IntentSource and Inbox.
//!
//! Asking a puppet: 32 bytes value, 32 bytes target (left-padded), then the call data ([`request`]). **The value comes
//! first for safety.** Owners also call tokens, provers and permits that strangers choose, and a stranger may name a
//! puppet of that owner. An ABI call starts with its selector, so a puppet reads it as an order to send at least 2^224
//! wei, which no account has: it can never be taken for a request.

use alloc::vec::Vec;

use alloy_primitives::{Address, U256, keccak256};

use crate::ids::IntentHash;

/// Creation code up to the owner's address. The run-time code starts after the ninth byte.
///
/// ```text
/// creation  60 51 80 60 09 5f 39 5f f3   return the 0x51 bytes after this
/// 00        36 60 05 57 00               no data: accept the ETH and stop
/// 05        5b 33 73 <owner>             is the caller the owner?
/// 1c        14 60 30 57                  then obey
/// ```
const HEAD: [u8; 17] = [
    0x60, 0x51, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, //
    0x36, 0x60, 0x05, 0x57, 0x00, 0x5b, 0x33, 0x73,
];

/// Between the owner's address and the selector of the refusal: compare, jump to the obeying part, `PUSH4`.
const MIDDLE: [u8; 5] = [0x14, 0x60, 0x30, 0x57, 0x63];

/// From the selector of the refusal to the end.
///
/// ```text
/// 25        5f 52 33 60 20 52 60 24 60 1c fd    refuse: revert with selector(caller)
/// 30        5b 5f 5f 60 40 36 03 80 60 40 5f 37 obey: copy the data after the two words to memory
/// 3c        5f 5f 35 60 20 35 5a f1             call the target with the value and all gas
/// 44        3d 5f 5f 3e 5f 3d 91                copy the answer
/// 4b        60 4f 57 fd 5b f3                   revert or return with it
/// ```
const TAIL: [u8; 44] = [
    0x5f, 0x52, 0x33, 0x60, 0x20, 0x52, 0x60, 0x24, 0x60, 0x1c, 0xfd, //
    0x5b, 0x5f, 0x5f, 0x60, 0x40, 0x36, 0x03, 0x80, 0x60, 0x40, 0x5f, 0x37, //
    0x5f, 0x5f, 0x35, 0x60, 0x20, 0x35, 0x5a, 0xf1, //
    0x3d, 0x5f, 0x5f, 0x3e, 0x5f, 0x3d, 0x91, //
    0x60, 0x4f, 0x57, 0xfd, 0x5b, 0xf3,
];

/// Creation and run-time code of a clone up to the implementation's address.
///
/// ```text
/// creation  60 32 80 60 09 5f 39 5f f3   return the 0x32 bytes after this
/// 00        36 60 05 57 00               no data: accept the ETH and stop, without delegating (2,300 gas suffice)
/// 05        5b 36 5f 5f 37               copy the call data
/// 0a        5f 5f 36 5f 73 <impl> 5a f4  delegate to the implementation with all gas
/// 25        3d 5f 5f 3e 5f 3d 91         copy the answer
/// 2c        60 30 57 fd 5b f3            revert or return with it
/// ```
const CLONE_HEAD: [u8; 24] = [
    0x60, 0x32, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, //
    0x36, 0x60, 0x05, 0x57, 0x00, //
    0x5b, 0x36, 0x5f, 0x5f, 0x37, //
    0x5f, 0x5f, 0x36, 0x5f, 0x73,
];

/// The rest of a clone.
const CLONE_TAIL: [u8; 15] = [
    0x5a, 0xf4, //
    0x3d, 0x5f, 0x5f, 0x3e, 0x5f, 0x3d, 0x91, //
    0x60, 0x30, 0x57, 0xfd, 0x5b, 0xf3,
];

/// Length of a puppet's creation code.
pub const INIT_CODE_LEN: usize = HEAD.len() + 20 + MIDDLE.len() + 4 + TAIL.len();

/// Length of a clone's creation code.
pub const CLONE_INIT_CODE_LEN: usize = CLONE_HEAD.len() + 20 + CLONE_TAIL.len();

/// Creation code of a puppet of `owner` that refuses others with the error `refusal(address caller)`.
pub fn init_code(owner: Address, refusal: [u8; 4]) -> [u8; INIT_CODE_LEN] {
    let mut code = [0; INIT_CODE_LEN];
    fill(&mut code, &[&HEAD, owner.as_slice(), &MIDDLE, &refusal, &TAIL]);
    code
}

/// Creation code of a clone: it accepts plain ETH itself and delegates everything else to the puppet
/// `implementation`, so that it obeys the owner of that.
pub fn clone_init_code(implementation: Address) -> [u8; CLONE_INIT_CODE_LEN] {
    let mut code = [0; CLONE_INIT_CODE_LEN];
    fill(&mut code, &[&CLONE_HEAD, implementation.as_slice(), &CLONE_TAIL]);
    code
}

/// What a puppet's owner sends it to make it call `target` with `value` wei and `data`.
pub fn request(target: Address, value: U256, data: &[u8]) -> Vec<u8> {
    let mut request = Vec::with_capacity(64 + data.len());
    request.extend_from_slice(&value.to_be_bytes::<32>());
    request.extend_from_slice(target.into_word().as_slice());
    request.extend_from_slice(data);
    request
}

/// The first contract that `creator` creates: the Inbox's Executor, IntentSource's vault implementation.
/// It is the CREATE address of nonce 1, keccak256(rlp([creator, 1])).
pub fn first_created(creator: Address) -> Address {
    let mut preimage = [0; 23];
    fill(&mut preimage, &[&[0xd6, 0x94], creator.as_slice(), &[0x01]]);
    Address::from_word(keccak256(preimage))
}

/// The vault of an intent: CREATE2 by IntentSource, salt = the intent's hash, the clone of its vault implementation.
pub fn vault(intent_source: Address, intent: IntentHash) -> Address {
    let init_code_hash = keccak256(clone_init_code(first_created(intent_source)));
    let mut preimage = [0; 85];
    fill(
        &mut preimage,
        &[&[0xff], intent_source.as_slice(), intent.as_slice(), init_code_hash.as_slice()],
    );
    Address::from_word(keccak256(preimage))
}

/// Copies the parts one after the other. The parts are as long as the whole by construction of the callers.
fn fill(whole: &mut [u8], parts: &[&[u8]]) {
    let mut rest = whole;
    for part in parts {
        let (now, later) = rest.split_at_mut(part.len());
        now.copy_from_slice(part);
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256};

    use super::*;

    #[test]
    fn codes_are_as_long_as_their_creation_parts_say() {
        let puppet = init_code(Address::ZERO, [0; 4]);
        assert_eq!(puppet.len() - 9, usize::from(puppet[1]));
        let clone = clone_init_code(Address::ZERO);
        assert_eq!(clone.len() - 9, usize::from(clone[1]));
    }

    #[test]
    fn jumps_land_on_jump_destinations() {
        let puppet = &init_code(Address::ZERO, [0; 4])[9..];
        for destination in [0x05, 0x30, 0x4f] {
            assert_eq!(puppet[destination], 0x5b);
        }
        let clone = &clone_init_code(Address::ZERO)[9..];
        for destination in [0x05, 0x30] {
            assert_eq!(clone[destination], 0x5b);
        }
    }

    #[test]
    fn first_created_is_the_create_address_of_nonce_one() {
        let creator = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
        assert_eq!(first_created(creator), creator.create(1));
        assert_eq!(first_created(creator), address!("0xa16E02E87b7454126E5E10d957A927A7F5B5d2be"));
    }

    #[test]
    fn vault_is_the_create2_address() {
        let source = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
        let intent = b256!("0x6b07a2750a89a70bdca65673d85d55534bd80609fb79d4e9eef5bdb58c7a821d");
        let expected = source.create2_from_code(intent, clone_init_code(source.create(1)));
        assert_eq!(vault(source, IntentHash(intent)), expected);
    }
}
