//! Arguments of our programs' constructors.
//!
//! A program is constructed by a call with selector [`SELECTOR`] and the arguments encoded as parameters;
//! [`Constructor::calldata`] makes those bytes.

use alloc::vec::Vec;

use alloy_sol_types::{SolType, SolValue, sol};

/// The selector of every Stylus constructor: the first four bytes of keccak256("stylus_constructor()").
pub const SELECTOR: [u8; 4] = [0x55, 0x85, 0x25, 0x8d];

/// Arguments of one program's constructor.
pub trait Constructor {
    /// Selector and arguments, ready for `StylusDeployer.deploy`'s `initData`.
    fn calldata(&self) -> Vec<u8>;
}

sol! {
    #![sol(all_derives = true)]

    /// Arguments of the router.
    struct RouterArguments {
        address mailbox;
        address owner;
        address guardian;
        uint32 initialNonce;
    }

    /// Arguments of MetalayerIsm. `previous` may be zero.
    struct IsmArguments {
        address router;
        uint32 localDomain;
        address owner;
        address guardian;
        address previous;
    }

    /// Arguments of ReadIsm.
    struct ReadIsmArguments {
        address router;
        uint32 localDomain;
        address owner;
    }

    /// Arguments of IntentSource, which creates its vault implementation itself. `nativeErc20` is the ERC-20 that
    /// mirrors the native balance on its chain, zero where there is none.
    struct IntentSourceArguments {
        address nativeErc20;
    }

    /// One entry of a prover's domain map.
    struct ProverDomain {
        uint64 domain;
        uint64 chainId;
    }

    /// Arguments of MetaProver.
    struct MetaProverArguments {
        address router;
        address portal;
        bytes32[] provers;
        uint256 minGasLimit;
        ProverDomain[] domains;
        uint8 finality;
    }

    /// Arguments of LocalProver.
    struct LocalProverArguments {
        address inbox;
        address intentSource;
    }

    /// Arguments of the test token.
    struct TestTokenArguments {
        uint8 decimals;
    }
}

/// Inbox takes no arguments: it creates its Executor itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxArguments;

impl Constructor for InboxArguments {
    fn calldata(&self) -> Vec<u8> {
        SELECTOR.to_vec()
    }
}

macro_rules! constructors {
    ($($arguments:ident),+ $(,)?) => {$(
        impl Constructor for $arguments {
            fn calldata(&self) -> Vec<u8> {
                calldata(self)
            }
        }
    )+};
}

constructors!(
    RouterArguments,
    IsmArguments,
    ReadIsmArguments,
    IntentSourceArguments,
    MetaProverArguments,
    LocalProverArguments,
    TestTokenArguments,
);

fn calldata<T: SolValue>(arguments: &T) -> Vec<u8>
where
    for<'a> <T::SolType as SolType>::Token<'a>: alloy_sol_types::abi::TokenSeq<'a>,
{
    let mut data = SELECTOR.to_vec();
    data.extend(arguments.abi_encode_params());
    data
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn the_selector_is_the_one_stylus_uses() {
        assert_eq!(keccak256("stylus_constructor()")[..4], SELECTOR);
    }
}
