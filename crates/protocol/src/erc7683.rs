//! ERC-7683 orders: encoding, resolution and signing (`EcoPortal`'s EIP-712 domain, as wallets know it).

use alloc::{vec, vec::Vec};

use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy_sol_types::sol;

pub use crate::abi::intent::{
    FillInstruction, GaslessCrossChainOrder, OnchainCrossChainOrder, OrderData, Output,
    ResolvedCrossChainOrder,
};
use crate::{
    ids::{ChainId, IntentHash},
    intent::{Reward, hash_route_bytes, intent_hash},
    words::{Frame, Malformed, Writer, padded},
};

/// keccak256 of `OrderData(uint64 destination,bytes route,Reward reward,bytes32 routePortal,uint64
/// routeDeadline,Output[] maxSpent)` followed by Reward, TokenAmount and Output, in this order.
pub const ORDER_DATA_TYPEHASH: B256 =
    b256!("0xaed0ae635eda11553af2dc98f5e5308e49abc5a2c0cae5c9a949b7927d77c405");

/// keccak256 of `GaslessCrossChainOrder(address originSettler,address user,uint256 nonce,uint256
/// originChainId,uint32 openDeadline,uint32 fillDeadline,bytes32 orderDataType,bytes32 orderDataHash)`.
pub const GASLESS_CROSSCHAIN_ORDER_TYPEHASH: B256 =
    b256!("0x0dc54db9269648aac2dbf0a24ec877f6604de7a39d70a932e517955973048850");

/// keccak256 of `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`.
const DOMAIN_TYPEHASH: B256 =
    b256!("0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");

/// Name in the EIP-712 domain.
pub const DOMAIN_NAME: &str = "EcoPortal";

/// Version in the EIP-712 domain.
pub const DOMAIN_VERSION: &str = "1";

sol! {
    #![sol(all_derives = true)]

    /// `originData` of a fill, encoded as parameters.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct OriginData {
        bytes route;
        bytes32 rewardHash;
    }

    /// `fillerData` of a fill, encoded as parameters.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct FillerData {
        address prover;
        uint64 source;
        bytes32 claimant;
        bytes proverData;
    }
}

impl OrderData {
    /// Decodes `orderData`: `abi.encode(OrderData)`.
    ///
    /// # Errors
    /// [`Malformed`] when it is not that.
    pub fn decode(order_data: &[u8]) -> Result<Self, Malformed> {
        Self::read(Frame(order_data).tuple(0)?)
    }

    /// Reads order data from their frame.
    ///
    /// # Errors
    /// [`Malformed`] when they are not there.
    pub fn read(frame: Frame<'_>) -> Result<Self, Malformed> {
        let read_output = |outputs: Frame<'_>, index| {
            let first = 4 * index;
            Ok(Output {
                token: outputs.word(first)?,
                amount: outputs.uint(first + 1)?,
                recipient: outputs.word(first + 2)?,
                chainId: outputs.uint(first + 3)?,
            })
        };
        Ok(Self {
            destination: frame.uint64(0)?,
            route: frame.bytes(1)?.to_vec().into(),
            reward: Reward::read(frame.tuple(2)?)?,
            routePortal: frame.word(3)?,
            routeDeadline: frame.uint64(4)?,
            maxSpent: frame.collect(5, 4, read_output)?,
        })
    }
}

impl OnchainCrossChainOrder {
    /// Reads an order from its frame.
    ///
    /// # Errors
    /// [`Malformed`] when it is not there.
    pub fn read(frame: Frame<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            fillDeadline: frame.uint32(0)?,
            orderDataType: frame.word(1)?,
            orderData: frame.bytes(2)?.to_vec().into(),
        })
    }
}

impl GaslessCrossChainOrder {
    /// Reads an order from its frame.
    ///
    /// # Errors
    /// [`Malformed`] when it is not there.
    pub fn read(frame: Frame<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            originSettler: frame.address(0)?,
            user: frame.address(1)?,
            nonce: frame.uint(2)?,
            originChainId: frame.uint(3)?,
            openDeadline: frame.uint32(4)?,
            fillDeadline: frame.uint32(5)?,
            orderDataType: frame.word(6)?,
            orderData: frame.bytes(7)?.to_vec().into(),
        })
    }
}

impl ResolvedCrossChainOrder {
    /// `abi.encode(resolvedOrder)`: what `resolve` returns and `Open` carries.
    pub fn encode(&self) -> Vec<u8> {
        let outputs = 128 * (self.maxSpent.len() + self.minReceived.len());
        let data: usize =
            self.fillInstructions.iter().map(|it| 160 + padded(it.originData.len())).sum();
        let writer = Writer::new(12 + (outputs + data) / 32)
            .size(0x20)
            .address(self.user)
            .uint(self.originChainId)
            .uint64(self.openDeadline.into())
            .uint64(self.fillDeadline.into())
            .word(self.orderId)
            .size(0x100)
            .size(0x120 + 128 * self.maxSpent.len())
            .size(0x140 + outputs);
        let writer = write_outputs(writer, &self.maxSpent);
        let mut writer = write_outputs(writer, &self.minReceived).size(self.fillInstructions.len());
        let mut offset = 32 * self.fillInstructions.len();
        for instruction in &self.fillInstructions {
            writer = writer.size(offset);
            offset += 128 + padded(instruction.originData.len());
        }
        for instruction in &self.fillInstructions {
            writer = writer
                .uint(instruction.destinationChainId)
                .word(instruction.destinationSettler)
                .size(0x60)
                .bytes(&instruction.originData);
        }
        writer.finish()
    }
}

fn write_outputs(mut writer: Writer, outputs: &[Output]) -> Writer {
    writer = writer.size(outputs.len());
    for output in outputs {
        writer = writer
            .word(output.token)
            .uint(output.amount)
            .word(output.recipient)
            .uint(output.chainId);
    }
    writer
}

/// The intent that an order opens: its id is the order's.
pub fn order_id(order: &OrderData) -> IntentHash {
    let reward = order.reward.hash();
    intent_hash(ChainId(order.destination), hash_route_bytes(&order.route), reward)
}

/// The order as any filler understands it. Nothing in it is checked against the route.
///
/// `origin_chain` is the chain of the settler; the fill deadline is the route's, cut to 32 bits.
pub fn resolve(
    order: &OrderData,
    open_deadline: u32,
    origin_chain: u64,
) -> ResolvedCrossChainOrder {
    let chain_id = U256::from(origin_chain);
    let leg = |token: B256, amount: U256| Output {
        token,
        amount,
        recipient: B256::ZERO,
        chainId: chain_id,
    };
    let reward = &order.reward;
    let mut min_received: Vec<Output> =
        reward.tokens.iter().map(|t| leg(t.token.into_word(), t.amount)).collect();
    if !reward.nativeAmount.is_zero() {
        min_received.push(leg(B256::ZERO, reward.nativeAmount));
    }
    let reward_hash = reward.hash().0;
    ResolvedCrossChainOrder {
        user: reward.creator,
        originChainId: chain_id,
        openDeadline: open_deadline,
        fillDeadline: order.routeDeadline as u32,
        orderId: order_id(order).0,
        maxSpent: order.maxSpent.clone(),
        minReceived: min_received,
        fillInstructions: vec![FillInstruction {
            destinationChainId: U256::from(order.destination),
            destinationSettler: order.routePortal,
            originData: origin_data(order.route.clone(), reward_hash),
        }],
    }
}

/// `abi.encode(bytes route, bytes32 rewardHash)`.
pub fn origin_data(route: Bytes, reward_hash: B256) -> Bytes {
    Writer::new(4 + route.len() / 32).size(0x40).word(reward_hash).bytes(&route).finish().into()
}

/// EIP-712's separator of a settler's domain.
pub fn domain_separator(chain_id: u64, settler: Address) -> B256 {
    let mut preimage = [0_u8; 160];
    preimage[..32].copy_from_slice(DOMAIN_TYPEHASH.as_slice());
    preimage[32..64].copy_from_slice(keccak256(DOMAIN_NAME).as_slice());
    preimage[64..96].copy_from_slice(keccak256(DOMAIN_VERSION).as_slice());
    preimage[120..128].copy_from_slice(&chain_id.to_be_bytes());
    preimage[140..].copy_from_slice(settler.as_slice());
    keccak256(preimage)
}

/// EIP-712's struct hash of an order; its last member is the hash of the order data.
pub fn struct_hash(order: &GaslessCrossChainOrder) -> B256 {
    let members = Writer::new(9)
        .word(GASLESS_CROSSCHAIN_ORDER_TYPEHASH)
        .address(order.originSettler)
        .address(order.user)
        .uint(order.nonce)
        .uint(order.originChainId)
        .uint64(order.openDeadline.into())
        .uint64(order.fillDeadline.into())
        .word(order.orderDataType)
        .word(keccak256(&order.orderData));
    keccak256(members.as_slice())
}

/// What the user signs: keccak256(0x1901 ‖ domain separator ‖ struct hash).
pub fn digest(order: &GaslessCrossChainOrder, chain_id: u64, settler: Address) -> B256 {
    let mut preimage = [0_u8; 66];
    preimage[..2].copy_from_slice(&[0x19, 0x01]);
    preimage[2..34].copy_from_slice(domain_separator(chain_id, settler).as_slice());
    preimage[34..].copy_from_slice(struct_hash(order).as_slice());
    keccak256(preimage)
}
