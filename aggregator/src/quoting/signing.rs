//! Orders that are signed instead of sent: ERC-7683's gasless orders as EIP-712 typed data.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::SolValue,
};
use api::{
    aggregator::SignatureStep,
    solver::{GaslessOrder, SubmitIntent},
};
use protocol::{
    abi::intent::{GaslessCrossChainOrder, Intent, OrderData},
    erc7683,
    ids::ChainId,
};
use serde_json::{Value, json};

/// An order and the signature of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOrder {
    order: GaslessOrder,
    signature: Bytes,
}

impl SignedOrder {
    /// The order of a signature step of ours, with what the user made of it.
    ///
    /// # Errors
    /// The step is not of this kind.
    pub fn new(step: &SignatureStep, signature: Bytes) -> Result<Self, serde_json::Error> {
        let order = serde_json::from_value(step.context.clone())?;
        Ok(Self { order, signature })
    }

    /// Whose signature it must be.
    pub const fn user(&self) -> Address {
        self.order.user
    }

    /// What the user is said to have signed it with.
    pub const fn signature(&self) -> &Bytes {
        &self.signature
    }

    /// What is signed.
    pub fn digest(&self) -> B256 {
        let order = &self.order;
        erc7683::digest(&on_chain(order), order.origin_chain_id, order.origin_settler)
    }

    /// What a solver takes.
    pub fn for_solver(&self) -> SubmitIntent {
        SubmitIntent::Gasless { order: self.order.clone(), signature: self.signature.clone() }
    }
}

/// The order by which `user` lets anybody open `intent` at `settler` until `open_by`.
pub(super) fn gasless_order(
    origin: ChainId,
    settler: Address,
    user: Address,
    intent: &Intent,
    open_by: u64,
) -> GaslessOrder {
    let seconds = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
    let data = OrderData {
        destination: intent.destination,
        route: intent.route.encode().into(),
        reward: intent.reward.clone(),
        routePortal: intent.route.portal.into_word(),
        routeDeadline: intent.route.deadline,
        maxSpent: Vec::new(),
    };
    GaslessOrder {
        origin_settler: settler,
        user,
        // The intent's salt is never used twice, and neither is this.
        nonce: U256::from_be_bytes(intent.route.salt.0).into(),
        origin_chain_id: origin.0,
        open_deadline: seconds(open_by),
        fill_deadline: seconds(intent.route.deadline),
        order_data_type: erc7683::ORDER_DATA_TYPEHASH,
        order_data: data.abi_encode().into(),
    }
}

/// The order as the contract takes it.
fn on_chain(order: &GaslessOrder) -> GaslessCrossChainOrder {
    GaslessCrossChainOrder {
        originSettler: order.origin_settler,
        user: order.user,
        nonce: order.nonce.0,
        originChainId: U256::from(order.origin_chain_id),
        openDeadline: order.open_deadline,
        fillDeadline: order.fill_deadline,
        orderDataType: order.order_data_type,
        orderData: order.order_data.clone(),
    }
}

/// What a wallet is given to sign (`eth_signTypedData_v4`).
pub(super) fn typed_data(order: &GaslessOrder) -> Value {
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    json!({
        "types": {
            "EIP712Domain": [
                field("name", "string"),
                field("version", "string"),
                field("chainId", "uint256"),
                field("verifyingContract", "address"),
            ],
            "GaslessCrossChainOrder": [
                field("originSettler", "address"),
                field("user", "address"),
                field("nonce", "uint256"),
                field("originChainId", "uint256"),
                field("openDeadline", "uint32"),
                field("fillDeadline", "uint32"),
                field("orderDataType", "bytes32"),
                field("orderDataHash", "bytes32"),
            ],
        },
        "primaryType": "GaslessCrossChainOrder",
        "domain": {
            "name": erc7683::DOMAIN_NAME,
            "version": erc7683::DOMAIN_VERSION,
            "chainId": order.origin_chain_id,
            "verifyingContract": order.origin_settler,
        },
        "message": {
            "originSettler": order.origin_settler,
            "user": order.user,
            "nonce": order.nonce,
            "originChainId": order.origin_chain_id,
            "openDeadline": order.open_deadline,
            "fillDeadline": order.fill_deadline,
            "orderDataType": order.order_data_type,
            "orderDataHash": keccak256(&order.order_data),
        },
    })
}

#[cfg(test)]
mod tests {
    use alloy::dyn_abi::TypedData;
    use protocol::abi::intent::{Reward, Route};

    use super::*;

    #[test]
    fn wallets_sign_what_the_contract_checks() {
        let settler = Address::repeat_byte(1);
        let intent = Intent {
            destination: 2,
            route: Route {
                salt: B256::repeat_byte(0xfe),
                deadline: 1_900_000_000,
                portal: Address::repeat_byte(3),
                nativeAmount: U256::ZERO,
                tokens: Vec::new(),
                calls: Vec::new(),
            },
            reward: Reward {
                deadline: 1_900_000_100,
                creator: Address::repeat_byte(4),
                prover: Address::repeat_byte(5),
                nativeAmount: U256::ZERO,
                tokens: Vec::new(),
            },
        };
        let user = Address::repeat_byte(6);
        let order = gasless_order(ChainId(700_001), settler, user, &intent, 1_800_000_000);
        let shown: TypedData = serde_json::from_value(typed_data(&order)).unwrap();
        let signed = SignedOrder { order, signature: Bytes::new() };
        assert_eq!(shown.eip712_signing_hash().unwrap(), signed.digest());
    }
}
