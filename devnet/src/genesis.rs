//! What every chain holds at block 0: funded development accounts and the CREATE2 factory.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, Bytes, U256, address, hex},
    signers::local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English},
};
use serde::{Deserialize, Serialize};

/// The mnemonic of the development accounts, the one that Hardhat and anvil print.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// How many accounts of [`MNEMONIC`] are funded and unlocked.
pub const DEV_ACCOUNTS: u32 = 20;
/// What each development account holds: 10,000 ether, in wei.
pub const DEV_BALANCE: U256 = U256::from_limbs([1_864_712_049_423_024_128, 542, 0, 0]);

/// Arachnid's deterministic deployment proxy, which exists at this address on nearly every chain.
pub const CREATE2_FACTORY: Address = address!("4e59b44847b379578588920ca78fbf26c0b4956c");
/// The factory's published 69-byte runtime (github.com/Arachnid/deterministic-deployment-proxy):
/// calldata is a 32-byte salt followed by init code; it returns the 20-byte address.
pub const CREATE2_FACTORY_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// An account of the genesis state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// In wei.
    pub balance: U256,
    /// Transactions sent, or contracts created for an account with code.
    pub nonce: u64,
    /// EVM code, or a Stylus program with its prefix.
    pub code: Bytes,
    /// Storage slots that are not zero.
    pub storage: BTreeMap<U256, U256>,
}

impl Account {
    /// A contract without balance or storage.
    #[must_use]
    pub fn contract(code: impl Into<Bytes>) -> Self {
        Self { nonce: 1, code: code.into(), ..Self::default() }
    }
}

/// The keys of the development accounts, in the order of their derivation path
/// (`m/44'/60'/0'/0/i`).
///
/// # Errors
/// When the mnemonic cannot be derived, which a release of the signer library could only cause.
pub fn dev_signers() -> Result<Vec<PrivateKeySigner>, alloy::signers::local::LocalSignerError> {
    (0..DEV_ACCOUNTS)
        .map(|index| MnemonicBuilder::<English>::default().phrase(MNEMONIC).index(index)?.build())
        .collect()
}

/// The accounts that every chain starts with, besides those that its configuration adds.
#[must_use]
pub fn accounts() -> Vec<(Address, Account)> {
    let funded = Account { balance: DEV_BALANCE, ..Account::default() };
    let mut accounts: Vec<_> =
        DEV_ADDRESSES.iter().map(|address| (*address, funded.clone())).collect();
    accounts.push((CREATE2_FACTORY, Account::contract(CREATE2_FACTORY_CODE.to_vec())));
    accounts
}

/// The addresses of [`dev_signers`]: deriving twenty keys at each start would cost 60 ms.
pub const DEV_ADDRESSES: [Address; DEV_ACCOUNTS as usize] = [
    address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
    address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
    address!("976EA74026E726554dB657fA54763abd0C3a0aa9"),
    address!("14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
    address!("23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
    address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"),
    address!("Bcd4042DE499D14e55001CcbB24a551F3b954096"),
    address!("71bE63f3384f5fb98995898A86B02Fb2426c5788"),
    address!("FABB0ac9d68B0B445fB7357272Ff202C5651694a"),
    address!("1CBd3b2770909D4e10f157cABC84C7264073C9Ec"),
    address!("dF3e18d64BC6A983f673Ab319CCaE4f1a57C7097"),
    address!("cd3B766CCDd6AE721141F452C550Ca635964ce71"),
    address!("2546BcD3c84621e976D8185a91A922aE77ECEc30"),
    address!("bDA5747bFD65F08deb54cb465eB87D40e51B197E"),
    address!("dD2FD4581271e230360230F9337D5c0430Bf44C0"),
    address!("8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_addresses_are_those_of_the_mnemonic() {
        let derived: Vec<_> =
            dev_signers().unwrap().iter().map(PrivateKeySigner::address).collect();
        assert_eq!(derived, DEV_ADDRESSES);
    }

    #[test]
    fn dev_balance_is_ten_thousand_ether() {
        assert_eq!(DEV_BALANCE, U256::from(10_000) * U256::from(10).pow(U256::from(18)));
    }
}
