//! The table of functions: `protocol::abi::intent_source`, selector by selector.

use alloc::{borrow::Cow, vec::Vec};

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use parts::{
    Frame, Lock, Program, Revert, Writer,
    answer::{address, boolean, number, text, word},
    program::refuse_value,
};
use protocol::{
    abi::{
        intent::{GaslessCrossChainOrder, OnchainCrossChainOrder, OrderData},
        intent_source::*,
    },
    erc7683,
    intent::{IntentHashes, Reward},
};
use stylus_sdk::prelude::*;
use vault::Vault;

use crate::{IntentSource, escrow::Escrow, orders};

impl Program for IntentSource {
    /// Creates the vault implementation, and takes the ERC-20 that mirrors the native balance.
    fn construct(&mut self, arguments: Frame<'_>) -> Result<(), Revert> {
        let native_erc20 = arguments.address(0)?;
        Vault::create_implementation(self.vm())?;
        self.native_erc20.set(native_erc20);
        Ok(())
    }

    fn call(&mut self, selector: [u8; 4], arguments: Frame<'_>) -> Result<Vec<u8>, Revert> {
        if !is_payable(selector) {
            refuse_value(self.vm())?;
        }
        if let Some(answer) = self.view(selector, arguments)? {
            return Ok(answer);
        }
        let _lock = Lock::enter()?;
        if let Some(answer) = self.publish_or_fund(selector, arguments)? {
            return Ok(answer);
        }
        self.settle(selector, arguments).map(|()| Vec::new())
    }
}

/// The functions that take value.
const fn is_payable(selector: [u8; 4]) -> bool {
    matches!(
        selector,
        publishAndFund_0Call::SELECTOR
            | publishAndFund_1Call::SELECTOR
            | publishAndFundFor_0Call::SELECTOR
            | publishAndFundFor_1Call::SELECTOR
            | fundCall::SELECTOR
            | fundForCall::SELECTOR
            | openCall::SELECTOR
            | openForCall::SELECTOR
    )
}

impl IntentSource {
    /// The functions that change nothing. They take no lock, so that wallets and recipients can read on the way.
    fn view(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let vm = self.vm();
        Ok(Some(match selector {
            versionCall::SELECTOR => text(env!("CARGO_PKG_VERSION")),
            GASLESS_CROSSCHAIN_ORDER_TYPEHASHCall::SELECTOR => {
                word(erc7683::GASLESS_CROSSCHAIN_ORDER_TYPEHASH)
            }
            domainSeparatorV4Call::SELECTOR => {
                word(erc7683::domain_separator(vm.chain_id(), vm.contract_address()))
            }
            eip712DomainCall::SELECTOR => eip712_domain(vm.chain_id(), vm.contract_address()),
            getRewardStatusCall::SELECTOR => number(self.status(a.word(0)?).into()),
            _ => match self.view_intent(selector, a)? {
                None => return self.view_order(selector, a),
                answer => return Ok(answer),
            },
        }))
    }

    /// The views of an intent, whatever it is named by.
    fn view_intent(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let vm = self.vm();
        let escrow = match selector {
            getIntentHash_0Call::SELECTOR
            | intentVaultAddress_0Call::SELECTOR
            | isIntentFunded_0Call::SELECTOR => Escrow::read_intent(vm, a)?.0,
            getIntentHash_1Call::SELECTOR
            | intentVaultAddress_1Call::SELECTOR
            | isIntentFunded_1Call::SELECTOR => Escrow::read_bytes(vm, a)?.0,
            getIntentHash_2Call::SELECTOR => Escrow::read_hash(vm, a)?,
            _ => return Ok(None),
        };
        Ok(Some(match selector {
            intentVaultAddress_0Call::SELECTOR | intentVaultAddress_1Call::SELECTOR => {
                address(escrow.vault.address())
            }
            isIntentFunded_0Call::SELECTOR | isIntentFunded_1Call::SELECTOR => {
                boolean(self.is_funded(&escrow)?)
            }
            _ => hashes(escrow.hashes()),
        }))
    }

    /// The views of an order.
    fn view_order(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let vm = self.vm();
        let (data, open_deadline) = match selector {
            resolveCall::SELECTOR => {
                let order = OnchainCrossChainOrder::read(a.tuple(0)?)?;
                (OrderData::decode(&order.orderData)?, orders::now(vm))
            }
            resolveForCall::SELECTOR => {
                let order = GaslessCrossChainOrder::read(a.tuple(0)?)?;
                a.bytes(1)?;
                (OrderData::decode(&order.orderData)?, order.openDeadline)
            }
            _resolveCall::SELECTOR => (OrderData::read(a.tuple(1)?)?, a.uint32(0)?),
            _ => return Ok(None),
        };
        Ok(Some(orders::resolve(vm, &data, open_deadline)))
    }

    /// The functions that put money in. What is published is the route that comes with the call; `fund` and `fundFor` have
    /// only its hash.
    fn publish_or_fund(
        &mut self,
        selector: [u8; 4],
        a: Frame<'_>,
    ) -> Result<Option<Vec<u8>>, Revert> {
        let vm = self.vm();
        let (escrow, route, rest) = match selector {
            publish_0Call::SELECTOR
            | publishAndFund_0Call::SELECTOR
            | publishAndFundFor_0Call::SELECTOR => {
                let (escrow, route) = Escrow::read_intent(vm, a)?;
                (escrow, Some(Cow::Owned(route)), 1)
            }
            publish_1Call::SELECTOR
            | publishAndFund_1Call::SELECTOR
            | publishAndFundFor_1Call::SELECTOR => {
                let (escrow, route) = Escrow::read_bytes(vm, a)?;
                (escrow, Some(Cow::Borrowed(route)), 3)
            }
            fundCall::SELECTOR | fundForCall::SELECTOR => (Escrow::read_hash(vm, a)?, None, 3),
            _ => return Ok(None),
        };
        let funding = Funding::read(selector, a, rest)?;
        if let Some(route) = &route {
            self.announce(&escrow, route)?;
        }
        let vault = self.fund(&escrow, funding)?;
        Ok(Some(match route {
            Some(_) => Writer::new(2).word(escrow.hash.0).address(vault).finish(),
            None => word(escrow.hash.0),
        }))
    }

    /// Funds, and returns the vault as the function's answer has it.
    fn fund(&mut self, escrow: &Escrow, funding: Funding) -> Result<Address, Revert> {
        match funding {
            Funding::None => {}
            Funding::FromCaller { allow_partial } => {
                self.fund_from_caller(escrow, allow_partial)?;
            }
            Funding::From { allow_partial, funder, permit } => {
                return self.fund_from(escrow, allow_partial, funder, permit);
            }
        }
        Ok(escrow.vault.address())
    }

    /// The functions that pay out, and those of ERC-7683.
    fn settle(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<(), Revert> {
        match selector {
            batchWithdrawCall::SELECTOR => {
                let destinations = a.collect(0, 1, Frame::uint64)?;
                let rewards =
                    a.collect(2, 1, |rewards, index| Reward::read(rewards.tuple(index)?))?;
                self.pay_all(destinations, a.words(1)?, rewards)
            }
            openCall::SELECTOR => self.open_onchain(&OnchainCrossChainOrder::read(a.tuple(0)?)?),
            openForCall::SELECTOR => {
                let order = GaslessCrossChainOrder::read(a.tuple(0)?)?;
                let signature = a.bytes(1)?;
                a.bytes(2)?;
                self.open_gasless(&order, signature)
            }
            withdrawCall::SELECTOR
            | refundCall::SELECTOR
            | refundToCall::SELECTOR
            | recoverTokenCall::SELECTOR => {
                self.settle_intent(selector, a, &Escrow::read_hash(self.vm(), a)?)
            }
            _ => Err(Revert::empty()),
        }
    }

    /// The functions that pay out of one vault.
    fn settle_intent(
        &mut self,
        selector: [u8; 4],
        a: Frame<'_>,
        escrow: &Escrow,
    ) -> Result<(), Revert> {
        match selector {
            withdrawCall::SELECTOR => self.pay(escrow),
            refundCall::SELECTOR => self.give_back(escrow, escrow.reward.creator),
            refundToCall::SELECTOR => {
                let refundee = a.address(3)?;
                self.only_creator(&escrow.reward)?;
                self.give_back(escrow, refundee)
            }
            _ => self.recover_stray(escrow, a.address(3)?),
        }
    }
}

/// Where the money of a funding function comes from.
enum Funding {
    None,
    FromCaller { allow_partial: bool },
    From { allow_partial: bool, funder: Address, permit: Address },
}

impl Funding {
    /// Reads it from the arguments after the intent's, of which `first` is the first.
    fn read(selector: [u8; 4], a: Frame<'_>, first: usize) -> Result<Self, Revert> {
        Ok(match selector {
            publish_0Call::SELECTOR | publish_1Call::SELECTOR => Self::None,
            publishAndFund_0Call::SELECTOR
            | publishAndFund_1Call::SELECTOR
            | fundCall::SELECTOR => Self::FromCaller { allow_partial: a.boolean(first)? },
            _ => Self::From {
                allow_partial: a.boolean(first)?,
                funder: a.address(first + 1)?,
                permit: a.address(first + 2)?,
            },
        })
    }
}

fn hashes(hashes: IntentHashes) -> Vec<u8> {
    Writer::new(3).word(hashes.intent.0).word(hashes.route.0).word(hashes.reward.0).finish()
}

/// EIP-5267: name, version, chain id and verifying contract are used (0x0f), salt and extensions are not.
fn eip712_domain(chain_id: u64, this: Address) -> Vec<u8> {
    let mut fields = B256::ZERO;
    fields[0] = 0x0f;
    Writer::new(12)
        .word(fields)
        .size(0xe0)
        .size(0x120)
        .uint64(chain_id)
        .address(this)
        .word(B256::ZERO)
        .size(0x160)
        .bytes(erc7683::DOMAIN_NAME.as_bytes())
        .bytes(erc7683::DOMAIN_VERSION.as_bytes())
        .size(0)
        .finish()
}
