//! EVM code that the cases share.

use alloy::hex;

/// Returns the call data.
pub(super) const ECHO: [u8; 7] = hex!("365f5f37365ff3");
/// Reverts with the call data.
pub(super) const REVERT: [u8; 7] = hex!("365f5f37365ffd");
/// Returns address, caller and value, a word each.
pub(super) const CONTEXT: [u8; 15] = hex!("305f52336020523460405260605ff3");
/// Writes the first word of the call data to slot 0.
pub(super) const STORE: [u8; 5] = hex!("5f355f5500");
/// Never ends.
pub(super) const LOOP: [u8; 3] = hex!("5b5f56");
/// Calls the address in the first word with the rest of the call data and all value, and hands on
/// what comes back.
pub(super) const FORWARD: [u8; 34] =
    hex!("602036036020" "5f375f5f60203603" "5f345f355af13d5f5f3e601e573d5ffd5b3d5ff3");
/// The same in a static call.
pub(super) const FORWARD_STATIC: [u8; 33] =
    hex!("602036036020" "5f375f5f60203603" "5f5f355afa3d5f5f3e601d573d5ffd5b3d5ff3");
