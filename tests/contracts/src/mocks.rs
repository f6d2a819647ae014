//! The hostile contracts of `contracts/mocks`, compiled once a process by the pinned solc.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process,
    sync::OnceLock,
};

use alloy::{
    hex,
    primitives::{B256, Bytes, keccak256},
    sol,
};

use crate::tools;

/// Creation code of a mock.
pub fn creation_code(name: &str) -> Bytes {
    static CODES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let codes = CODES.get_or_init(|| serde_json::from_slice(&compiled()).unwrap());
    hex::decode(&codes[name]).unwrap().into()
}

/// What solc makes of the mocks. The compiler takes seconds and every test is a process of its own, so what one compiled is
/// kept for the others under a hash of all that went in.
fn compiled() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/mocks");
    let modules = tools::node_modules().unwrap();
    let kept = modules.join(format!(".mocks-{:x}.json", inputs(&folder, &modules)));
    if let Ok(codes) = fs::read(&kept) {
        return codes;
    }
    let output = tools::node("mocks.mjs").unwrap().arg(&folder).output().unwrap();
    assert!(output.status.success(), "solc: {}", String::from_utf8_lossy(&output.stderr));
    // Renamed when it is whole: another process may look at any time.
    let part = kept.with_extension(process::id().to_string());
    fs::write(&part, &output.stdout).unwrap();
    fs::rename(part, kept).unwrap();
    output.stdout
}

/// A hash of the mocks, the script that compiles them, and the versions of what it uses.
fn inputs(mocks: &Path, modules: &Path) -> B256 {
    let mut files: Vec<PathBuf> =
        fs::read_dir(mocks).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.extend(["mocks.mjs", "package-lock.json"].map(|file| modules.with_file_name(file)));
    keccak256(files.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>().concat())
}

sol! {
    #![sol(all_derives = true)]

    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        function setMode(uint8 mode) external;
        function setCallback(address target, bytes calldata data) external;
        function setStrictApprove(bool strict) external;
        function mint(address to, uint256 amount) external;
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function totalSupply() external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function calledBack() external view returns (bool);
        function callbackOk() external view returns (bool);
        function callbackAnswer() external view returns (bytes memory);
    }

    interface Permit {
        function allow(uint160 amount, uint48 expiration) external;
        function setExtra(uint256 extra) external;
        function setLies(bool lies) external;
        function setCallback(address target, bytes calldata data) external;
    }

    interface Prover {
        event Challenged(uint64 destination, bytes32 routeHash, bytes32 rewardHash);
        event Proving(address sender, uint64 domain, bytes payload, bytes data, uint256 value);
        function set(bytes32 intent, address claimant, uint64 destination) external;
        function setMode(uint8 mode) external;
        function setFee(uint256 fee) external;
        function setCallback(address target, bytes calldata data) external;
    }

    interface Account {
        function setMode(uint8 mode) external;
        function setOpinion(uint8 opinion, address settler) external;
        function setCallback(address target, bytes calldata data) external;
        function act(address to, uint256 value, bytes calldata data) external payable returns (bytes memory);
        function callbackOk() external view returns (bool);
        function callbackAnswer() external view returns (bytes memory);
        function callbacks() external view returns (uint256);
    }

    interface Target {
        event Hit(address sender, uint256 value, bytes data);
        function hit(bytes calldata data) external payable returns (bytes memory);
        function noop() external payable;
        function fail() external payable;
        function failSilently() external payable;
        function bomb(uint256 size) external payable returns (bytes memory);
        function nest(address to, uint256 value, bytes calldata data) external payable;
        function exhaust() external payable;
        function nestedOk() external view returns (bool);
        function nestedAnswer() external view returns (bytes memory);
    }

    interface Router {
        function setFee(uint256 fee) external;
        function fee() external view returns (uint256);
        function policy() external view returns (uint8);
        function policyOf() external view returns (address);
        function lastDispatch() external view returns (bytes memory);
        function lastValue() external view returns (uint256);
    }

    /// Solidity's `require` with a reason.
    error Error(string reason);
}

/// Modes of [`Token`].
pub mod token {
    pub const HONEST: u8 = 0;
    pub const RETURNS_NOTHING: u8 = 1;
    pub const RETURNS_FALSE: u8 = 2;
    pub const REVERTS: u8 = 3;
    pub const TAKES_FEE: u8 = 4;
    pub const RETURNS_JUNK: u8 = 6;
    pub const REVERTS_SILENTLY: u8 = 7;
}

/// Modes of [`Prover`].
pub mod prover {
    pub const REVERTS: u8 = 1;
    pub const RETURNS_NOTHING: u8 = 2;
    pub const RETURNS_DIRTY_ADDRESS: u8 = 3;
    pub const RETURNS_DIRTY_CHAIN: u8 = 4;
}

/// Modes of [`Account`] when paid, and its opinions on signatures.
pub mod account {
    pub const TAKES: u8 = 0;
    pub const REFUSES: u8 = 1;
    pub const BURNS_GAS: u8 = 3;
    pub const REFUSES_SIGNATURES: u8 = 0;
    pub const ACCEPTS_SIGNATURES: u8 = 1;
    pub const WRONG_MAGIC: u8 = 2;
    pub const REVERTS_ON_SIGNATURES: u8 = 3;
    pub const ASKS_DOMAIN: u8 = 4;
}
